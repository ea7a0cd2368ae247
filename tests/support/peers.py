"""Raw servers on loopback that misbehave as a test requires, and clients to call them."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from notifier.core.delivery.request import DeliveryRequest, build_request
from notifier.core.delivery.signing import generate_secret, parse_signing_key
from notifier.delivery.client import DeliveryClient, DeliveryClientSettings

if TYPE_CHECKING:
    from pathlib import Path

    from notifier.core.delivery.outcome import Answer

Peer: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
SECRET = generate_secret(b"0123456789abcdef01234567")
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def request_to(url: str, extra_headers: dict[str, str] | None = None) -> DeliveryRequest:
    return build_request(
        url=url,
        event_id="evt_1",
        body=b'{"type":"space.started"}',
        content_type="application/json",
        keys=[parse_signing_key(SECRET)],
        timestamp=int(datetime.now(UTC).timestamp()),
        extra_headers=extra_headers,
    )


def client_for(**settings: Any) -> DeliveryClient:
    """Return a client that may reach loopback; ``settings`` override its defaults."""
    base = DeliveryClientSettings(timeout_seconds=5.0, allowed_networks=LOOPBACK)
    return DeliveryClient(replace(base, **settings))


async def post(url: str, **settings: Any) -> Answer:
    async with client_for(**settings) as client:
        return await client.send(request_to(url))


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length")
    )
    return head + await reader.readexactly(length)


@asynccontextmanager
async def peer(handle: Peer, **server: Any) -> AsyncIterator[str]:
    """Serve raw connections on loopback and yield the base URL; a broken connection is not a failure."""
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await handle(reader, writer)

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(serve(reader, writer))
        running.add(task)
        task.add_done_callback(running.discard)
        task.add_done_callback(lambda _: writer.close())  # even if it is cancelled before it starts

    listener = await asyncio.start_server(connected, "127.0.0.1", 0, **server)
    scheme = "https" if server.get("ssl") else "http"
    try:
        yield f"{scheme}://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def answering(raw: bytes, *, close: bool = True) -> Peer:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(raw)
        await writer.drain()
        if not close:
            await reader.read()

    return handle


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset instead of an orderly shutdown."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def tls_contexts(directory: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server context for 127.0.0.1, and a client context that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "receiver")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = directory / "receiver.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=str(pem))

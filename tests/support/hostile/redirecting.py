"""Receivers that ask for something else: another URL, credentials, another protocol."""

from __future__ import annotations

from tests.support.hostile.serving import Conn, ReceiverList

REDIRECTING = ReceiverList()

METADATA = b"http://169.254.169.254/latest/meta-data/"


@REDIRECTING.receiver(301, keeps_connection=True)
async def redirects_to_metadata(conn: Conn) -> None:
    """Redirects to the metadata service of a cloud, which holds credentials."""
    while True:
        await conn.request()
        await conn.send(b"HTTP/1.1 301 Moved\r\nlocation: " + METADATA + b"\r\ncontent-length: 0\r\n\r\n")


@REDIRECTING.receiver(307, keeps_connection=True)
async def redirects_the_post_itself(conn: Conn) -> None:
    """Redirects the signed event to another host."""
    while True:
        await conn.request()
        await conn.send(
            b"HTTP/1.1 307 Over There\r\nlocation: //elsewhere.example/\r\ncontent-length: 0\r\n\r\n"
        )


@REDIRECTING.receiver(300)
async def redirects_to_nowhere(conn: Conn) -> None:
    """Redirects to a location that is not a URL."""
    await conn.request()
    await conn.send(b"HTTP/1.1 300 Choose\r\nlocation: \x01http://[::\r\ncontent-length: 0\r\n\r\n")
    await conn.hold()


@REDIRECTING.receiver(200, keeps_connection=True)
async def refreshes_to_a_file(conn: Conn) -> None:
    """Uses other headers that browsers follow."""
    while True:
        await conn.request()
        await conn.send(
            b'HTTP/1.1 200 OK\r\nrefresh: 0; url=file:///etc/passwd\r\nalt-svc: h2="127.0.0.1:22"\r\n'
            b"content-location: " + METADATA + b"\r\ncontent-length: 0\r\n\r\n"
        )


@REDIRECTING.receiver(401, keeps_connection=True)
async def asks_for_credentials(conn: Conn) -> None:
    """Asks for a password."""
    while True:
        await conn.request()
        await conn.send(b"HTTP/1.1 401 Who\r\nwww-authenticate: Basic\r\ncontent-length: 0\r\n\r\n")


@REDIRECTING.receiver(407, keeps_connection=True)
async def poses_as_a_proxy(conn: Conn) -> None:
    """Asks for proxy credentials although there is no proxy, so that the fault looks like ours."""
    while True:
        await conn.request()
        await conn.send(b"HTTP/1.1 407 Who\r\nproxy-authenticate: NTLM\r\ncontent-length: 0\r\n\r\n")


@REDIRECTING.receiver(200, keeps_connection=True)
async def sets_a_cookie(conn: Conn) -> None:
    """Sets a cookie, which would be sent to every endpoint of the host."""
    while True:
        assert b"\r\ncookie:" not in (await conn.request()).lower()
        await conn.send(b"HTTP/1.1 200 OK\r\nset-cookie: a=b; domain=127.0.0.1\r\ncontent-length: 0\r\n\r\n")


@REDIRECTING.receiver(101)
async def switches_protocols(conn: Conn) -> None:
    """Switches to a protocol that was not requested."""
    await conn.request()
    await conn.send(
        b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n\x81\x05hello"
    )
    await conn.hold()


@REDIRECTING.receiver(101)
async def switches_without_saying_to_what(conn: Conn) -> None:
    """Switches protocols without the required headers, followed by another answer."""
    await conn.request()
    await conn.send(b"HTTP/1.1 101 Switching\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    await conn.hold()


@REDIRECTING.receiver(426, keeps_connection=True)
async def wants_another_protocol(conn: Conn) -> None:
    """Insists on HTTP/2."""
    while True:
        await conn.request()
        await conn.send(
            b"HTTP/1.1 426 Upgrade\r\nupgrade: h2c\r\nconnection: upgrade\r\ncontent-length: 0\r\n\r\n"
        )

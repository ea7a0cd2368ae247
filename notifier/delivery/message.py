"""A request as bytes, and the target of its URL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from yarl import URL

if TYPE_CHECKING:
    from notifier.core.delivery.request import DeliveryRequest

_NUMBERS_AND_DOTS: Final = re.compile(r"[0-9.]+")

_URL: Final = re.compile(r"([^/?#]*//[^/?#]*)([^#]*)")
"""The part that identifies the receiver, and the path with the query."""

_AS_WRITTEN: Final = "%/:?[]@!$&'()*+,;="
"""Characters that stay as they are in a path and a query. Escapes are kept and dots are not resolved, because
a receiver may have signed its URL as it is."""


class Origin(NamedTuple):
    """What a connection leads to: whether it uses TLS, the host without brackets, and the port."""

    tls: bool
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of a URL that a request needs.

    Attributes:
        origin: What to connect to.
        host: The value of the host header.
        path: The path and the query, as they appear in the request.
        rest: What follows the method in a request that goes directly to the receiver.
    """

    origin: Origin
    host: str
    path: str
    rest: str


@lru_cache(maxsize=8192)
def target_of(url: str) -> Target:
    """Return the target of a URL.

    Raises:
        ValueError: It cannot be dialled; the message says why.
    """
    written = _URL.match(url)
    if written is None:
        raise ValueError("the URL must begin with http:// or https://")
    origin, host = _origin_of(written[1])
    path = quote(written[2] if written[2].startswith("/") else "/" + written[2], safe=_AS_WRITTEN)
    return Target(origin, host, path, rest_of(path, host))


@lru_cache(maxsize=8192)
def _origin_of(url: str) -> tuple[Origin, str]:
    """Return the origin of a URL without its path, and the value of the host header."""
    parsed = URL(url)
    if parsed.scheme not in {"http", "https"}:
        raise ValueError("the URL must begin with http:// or https://")
    host = parsed.raw_host
    if not host or not parsed.port:
        raise ValueError("the URL must have a host and a port from 1 to 65535")
    if parsed.raw_user is not None or parsed.raw_password is not None:
        raise ValueError("the URL must not hold a user name or password")
    if "%" in host:
        raise ValueError("the URL must not name a zone behind an IPv6 address")
    if _NUMBERS_AND_DOTS.fullmatch(host):
        _check_four_numbers(host)
    return Origin(parsed.scheme == "https", host, parsed.port), parsed.host_port_subcomponent or host


def rest_of(what: str, host: str) -> str:
    """Return what follows the method in a request."""
    return f" {what} HTTP/1.1\r\nhost: {host}"


def message_of(head: str, request: DeliveryRequest) -> bytes:
    """Return a whole request that begins with ``head``.

    Raises:
        ValueError: A header contains a line break or another invalid character. Such headers are refused when
            an endpoint is created, but even a stored one must not split a request.
    """
    headers = request.headers
    lines = [f"{name}: {value}" for name, value in headers.items()]
    if "accept" not in headers:
        lines.append("accept: */*")
    text = "".join(lines)
    if not (text.isascii() and text.replace("\t", " ").isprintable()):
        raise ValueError("a header contains a line break, or a character that is not printable ASCII")
    lines.append(f"content-length: {len(request.body)}\r\n\r\n")
    return "\r\n".join((head, *lines)).encode("ascii") + request.body


def _check_four_numbers(host: str) -> None:
    """Refuse forms of IPv4 addresses that resolvers interpret differently."""
    try:
        IPv4Address(host)
    except AddressValueError as error:
        raise ValueError(f"{host} is neither a name nor an IPv4 address of four numbers") from error

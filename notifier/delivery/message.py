"""A request as bytes, and where its URL leads."""

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
"""What leads to the receiver, and what it is asked for."""

_AS_WRITTEN: Final = "%/:?[]@!$&'()*+,;="
"""What else may stand in a path and a query. Nothing that is escaped is unescaped and no dots are resolved:
a receiver may have signed its URL as it is."""


class Origin(NamedTuple):
    """What a connection leads to: whether by TLS, the host without brackets, and the port."""

    tls: bool
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads, and what is asked for there.

    Attributes:
        origin: What to connect to.
        host: The value of the host header.
        path: The path and the query, as they stand in the request.
        rest: What follows the method at the beginning of a request that goes straight to the receiver.
    """

    origin: Origin
    host: str
    path: str
    rest: str


@lru_cache(maxsize=8192)
def target_of(url: str) -> Target:
    """Take a URL apart.

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
    """Read a URL up to its path; returns the value of the host header, too."""
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
    """Return how a request begins, after its method."""
    return f" {what} HTTP/1.1\r\nhost: {host}"


def message_of(head: str, request: DeliveryRequest) -> bytes:
    """Write a whole request that begins with ``head``.

    Raises:
        ValueError: A header holds a line break or another character that has no place in one. Such headers
            are refused when an endpoint is registered; no record that got around that may split a request.
    """
    headers = request.headers
    lines = [f"{name}: {value}" for name, value in headers.items()]
    if "accept" not in headers:
        lines.append("accept: */*")
    text = "".join(lines)
    if not (text.isascii() and text.replace("\t", " ").isprintable()):
        raise ValueError("a header holds a line break, or a character that is not printable ASCII")
    lines.append(f"content-length: {len(request.body)}\r\n\r\n")
    return "\r\n".join((head, *lines)).encode("ascii") + request.body


def _check_four_numbers(host: str) -> None:
    """Refuse the forms of an IPv4 address that resolvers understand each in its own way."""
    try:
        IPv4Address(host)
    except AddressValueError as error:
        raise ValueError(f"{host} is neither a name nor an IPv4 address of four numbers") from error

"""Which class of error a failed POST belongs to: the HTTP client's exceptions, read in one place."""

from __future__ import annotations

import errno
import socket
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from notifier.core.outcome import ErrorClass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notifier.delivery.guard import DialRecord

MAX_DETAIL_CHARS: Final = 300

POST_FAILURES: Final = (aiohttp.ClientError, HttpProcessingError, OSError, ValueError)
"""All that a receiver, the network or a URL can make a POST raise; TimeoutError is an OSError."""

BY_ERRNO: Final = {
    errno.ECONNREFUSED: ErrorClass.CONNECTION_REFUSED,
    errno.ECONNRESET: ErrorClass.CONNECTION_RESET,
    errno.ECONNABORTED: ErrorClass.CONNECTION_RESET,
    errno.EPIPE: ErrorClass.CONNECTION_RESET,
    errno.ETIMEDOUT: ErrorClass.TIMEOUT,
    errno.EHOSTUNREACH: ErrorClass.UNREACHABLE,
    errno.ENETUNREACH: ErrorClass.UNREACHABLE,
    errno.ENETDOWN: ErrorClass.LOCAL,
    errno.EMFILE: ErrorClass.LOCAL,
    errno.ENFILE: ErrorClass.LOCAL,
    errno.ENOMEM: ErrorClass.LOCAL,
    errno.ENOBUFS: ErrorClass.LOCAL,
    errno.EADDRNOTAVAIL: ErrorClass.LOCAL,
}

_BY_TYPE: Final[tuple[tuple[tuple[type[BaseException], ...], ErrorClass], ...]] = (
    ((aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError), ErrorClass.CONNECTION_RESET),
    ((aiohttp.ClientResponseError, HttpProcessingError), ErrorClass.PROTOCOL),
    ((aiohttp.NonHttpUrlClientError, ValueError), ErrorClass.INVALID_URL),
    ((TimeoutError,), ErrorClass.TIMEOUT),
)
"""The first row that fits counts."""

_NAME_IS_WRONG: Final = frozenset(
    code
    for code in (
        socket.EAI_NONAME,
        socket.EAI_FAIL,
        getattr(socket, "EAI_NODATA", None),
        getattr(socket, "EAI_ADDRFAMILY", None),
    )
    if code is not None
)
"""Answers of a working resolver; any other failure of a lookup is the resolver's or ours."""

_TUNNEL_GOT_NO_ANSWER: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})
"""What a working proxy answers when the receiver behind it does not."""

_TOO_LARGE: Final = ("Got more than", "Too many headers")


def describe_failure(
    error: BaseException, dial: DialRecord, *, proxy_host: str | None
) -> tuple[ErrorClass, str]:
    """Find the class of ``error`` and a short text for the operator.

    Args:
        error: One of ``POST_FAILURES``.
        dial: What the POST did to get a connection.
        proxy_host: The outbound proxy, whose own failures are not the receiver's.
    """
    if dial.blocked is not None and not dial.dialled:
        return ErrorClass.BLOCKED_ADDRESS, dial.blocked
    if proxy_host is not None and (found := _proxy_failure(error, proxy_host)) is not None:
        return found
    return _class_of(error), _text_of(error)


def well_formed(text: str) -> str:
    """Replace the lone surrogates that stand for bytes other than UTF-8: no record can be written of them."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def is_stale_connection(error: BaseException, dial: DialRecord) -> bool:
    """Tell whether a pooled connection turned out dead, without a byte of answer on it."""
    if not dial.reused:
        return False
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return isinstance(error.message, str)  # otherwise it holds the part of an answer that came
    return isinstance(error, OSError) and error.errno in {errno.ECONNRESET, errno.EPIPE}


def _proxy_failure(error: BaseException, proxy_host: str) -> tuple[ErrorClass, str] | None:
    if isinstance(error, aiohttp.ClientHttpProxyError):
        no_answer = error.status in _TUNNEL_GOT_NO_ANSWER
        return (
            ErrorClass.UNREACHABLE if no_answer else ErrorClass.PROXY,
            f"the proxy answered the tunnel with {error.status}",
        )
    if isinstance(error, aiohttp.ClientConnectorError) and error.host == proxy_host:
        return ErrorClass.PROXY, _text_of(error)
    return None


def _class_of(error: BaseException) -> ErrorClass:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return ErrorClass.DNS if error.os_error.errno in _NAME_IS_WRONG else ErrorClass.RESOLVER
    if any(isinstance(link, ssl.SSLError) for link in _chain(error)):
        return ErrorClass.TLS
    if isinstance(error, aiohttp.ClientResponseError) and error.message.startswith(_TOO_LARGE):
        return ErrorClass.TOO_LARGE_HEADERS
    for types, error_class in _BY_TYPE:
        if isinstance(error, types):
            return error_class
    return _class_of_os_error(error)


def _class_of_os_error(error: BaseException) -> ErrorClass:
    for link in _chain(error):
        if isinstance(link, OSError) and link.errno in BY_ERRNO:
            return BY_ERRNO[link.errno]
        if isinstance(link, ConnectionError):
            return ErrorClass.CONNECTION_RESET
    return ErrorClass.UNREACHABLE if isinstance(error, OSError) else ErrorClass.PROTOCOL


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _text_of(error: BaseException) -> str:
    """Say it in one short line. ``str(error)`` of some classes holds the whole request, so it is not used."""
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, aiohttp.ClientResponseError | HttpProcessingError):
        text = error.message
    elif isinstance(error, OSError):
        text = error.strerror or ""
    elif isinstance(error, aiohttp.ServerDisconnectedError):
        text = "closed without an answer" if isinstance(error.message, str) else "closed amid the headers"
    else:
        text = str(error)
    return well_formed(" ".join(text.split())[:MAX_DETAIL_CHARS])

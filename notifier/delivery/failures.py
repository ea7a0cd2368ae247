"""The error classes of failed connections."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import TYPE_CHECKING, Final

from notifier.core.delivery.outcome import ErrorClass
from notifier.delivery.reply import well_formed
from notifier.errors import AddressError, ProxyError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DETAIL_CHARS: Final = 300

SEND_FAILURES: Final = (OSError, ValueError, AddressError, ProxyError)
"""Everything that sending can raise because of a URL, a name, the network or a receiver. TimeoutError is an
OSError."""

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
"""Errors that a working resolver returns; any other failure of a lookup is the resolver's or ours."""


def describe_failure(error: BaseException) -> tuple[ErrorClass, str]:
    """Return the class of ``error`` and a short text for the operator."""
    return _class_of(error), text_of(error)


def text_of(error: BaseException) -> str:
    """Return the error in one short line, without its number."""
    if isinstance(error, AddressError | ProxyError):
        text = error.message
    elif isinstance(error, OSError) and error.errno is not None:
        text = error.strerror or ""
    else:
        text = str(error)
    return one_line(text)


def one_line(text: str) -> str:
    """Return ``text`` as one short line that can be stored."""
    return well_formed(" ".join(text.split())[:MAX_DETAIL_CHARS])


def _class_of(error: BaseException) -> ErrorClass:
    if isinstance(error, AddressError):
        return ErrorClass.BLOCKED_ADDRESS
    if isinstance(error, ProxyError):
        return ErrorClass.PROXY
    if isinstance(error, socket.gaierror):
        return ErrorClass.DNS if error.errno in _NAME_IS_WRONG else ErrorClass.RESOLVER
    if any(isinstance(link, ssl.SSLError) for link in _chain(error)):
        return ErrorClass.TLS
    if isinstance(error, ValueError):
        return ErrorClass.INVALID_URL
    return _class_of_os_error(error)


def _class_of_os_error(error: BaseException) -> ErrorClass:
    if isinstance(error, TimeoutError):
        return ErrorClass.TIMEOUT
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

"""Why X did not answer, in words for people: never the name of a class, never a secret."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, TypeAlias

import aiohttp

from notifier.core.model.observation import Failure
from notifier.core.model.problems import FailureKind

TIMEOUT_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 5.0
MAX_BODY_BYTES: Final = 8 * 2**20
DETAIL_LENGTH: Final = 200

TOO_LARGE: Final = f"the answer is larger than {MAX_BODY_BYTES // 2**20} MiB"

FAILURES: Final = (aiohttp.ClientError, TimeoutError, OSError, ValueError)
"""Everything that a request to X can raise, whatever X, the network or a proxy does."""


def no_answer(text: str, *, suspects_subjects: bool) -> Failure:
    """Return the failure of a request without an answer."""
    detail = f"no answer from X: {' '.join(text.split())}"[:DETAIL_LENGTH]
    return Failure(FailureKind.UNAVAILABLE, detail, suspects_subjects=suspects_subjects)


def describe(error: BaseException, *, proxy: tuple[str | None, int | None] | None = None) -> Failure:
    """Return the failure that an error means.

    A subject of the question can cause an answer that is late, broken off or unreadable, but not a failure to
    connect.

    Args:
        error: One of :data:`FAILURES`.
        proxy: Host and port of the proxy for requests to X.
    """
    for types, text, suspects_subjects in ROWS:
        if isinstance(error, types):
            said = text(error)
            if proxy is not None and _is_of(error, proxy) and "the proxy" not in said:
                said = f"the proxy cannot be used: {said}"
            return no_answer(said, suspects_subjects=suspects_subjects)
    return no_answer("the question could not be sent", suspects_subjects=True)


def _is_of(error: BaseException, proxy: tuple[str | None, int | None]) -> bool:
    """Return whether it was the proxy that could not be connected to."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return True  # with a proxy, nothing else is connected to
    return isinstance(error, aiohttp.ClientConnectorError) and (error.host, error.port) == proxy


def _of_tunnel(error: aiohttp.ClientHttpProxyError) -> str:
    if error.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return f"the proxy does not accept the credentials (HTTP {error.status})"
    return f"the proxy answered the CONNECT request for X with HTTP {error.status}"


def _of_proxy(error: aiohttp.ClientProxyConnectionError) -> str:
    return f"could not connect to the proxy {error.host}:{error.port}: {_system(error.os_error)}"


def _of_name(error: aiohttp.ClientConnectorDNSError) -> str:
    return f"the address of {error.host} could not be found: {_system(error.os_error)}"


def _of_certificate(error: aiohttp.ClientConnectorCertificateError) -> str:
    reason = getattr(error.certificate_error, "verify_message", "") or "it does not belong to this host"
    return f"the certificate of {error.host} is not valid: {reason}"


def _of_tls(error: aiohttp.ClientConnectorSSLError) -> str:
    return f"no secure connection to {error.host}:{error.port}: {_system(error.os_error)}"


def _of_connection(error: aiohttp.ClientConnectorError) -> str:
    return f"could not connect to {error.host}:{error.port}: {_system(error.os_error)}"


def _of_slow_connection(_error: BaseException) -> str:
    return f"could not connect within {CONNECT_SECONDS:g} s"


def _of_timeout(_error: BaseException) -> str:
    return f"timed out after {TIMEOUT_SECONDS:g} s"


def _of_body(error: BaseException) -> str:
    """Return whether a body could not be decoded or ended too early, in words."""
    cause = error.__cause__
    message = str(getattr(cause, "message", "")) or str(error)
    if "decode content-encoding" not in message:
        return "the connection was closed before the answer was complete"
    encoding = message.rpartition(": ")[2].split(" ")[0].strip(".")
    return f"the body could not be decoded ({encoding})"


def _of_response(error: aiohttp.ClientResponseError) -> str:
    is_too_large = error.message.startswith(("Got more than", "Too many headers"))
    return "the headers of the answer are too large" if is_too_large else "the answer is not HTTP"


def _of_disconnection(_error: BaseException) -> str:
    return "the connection was closed before an answer came"


def _of_url(_error: BaseException) -> str:
    return "the URL of X's API cannot be used"


def _of_system(error: OSError) -> str:
    return f"the connection failed: {_system(error)}"


def _of_value(_error: BaseException) -> str:
    return "the request or the answer could not be encoded"


def _system(error: BaseException) -> str:
    """Return the system's own words for an error, without its number."""
    reason = getattr(error, "reason", None)
    if isinstance(error, ssl.SSLError) and isinstance(reason, str):
        return reason.replace("_", " ").lower()
    text = getattr(error, "strerror", None) or str(error)
    if text.startswith("Connect call failed") or not text:
        text = "connection refused" if isinstance(error, ConnectionRefusedError) else "no connection"
    return text[:1].lower() + text[1:]


Row: TypeAlias = tuple[type[BaseException], Callable[..., str], bool]

ROWS: Final[tuple[Row, ...]] = (
    (aiohttp.ClientHttpProxyError, _of_tunnel, False),
    (aiohttp.ClientProxyConnectionError, _of_proxy, False),
    (aiohttp.ClientConnectorCertificateError, _of_certificate, False),
    (aiohttp.ClientConnectorDNSError, _of_name, False),
    (aiohttp.ClientConnectorSSLError, _of_tls, False),
    (aiohttp.ClientConnectorError, _of_connection, False),
    (aiohttp.ConnectionTimeoutError, _of_slow_connection, False),
    (TimeoutError, _of_timeout, True),
    (aiohttp.ClientPayloadError, _of_body, True),
    (aiohttp.ServerDisconnectedError, _of_disconnection, True),
    (aiohttp.ClientResponseError, _of_response, True),
    (aiohttp.InvalidURL, _of_url, False),
    (OSError, _of_system, True),
    (ValueError, _of_value, True),
)
"""By type: the words, and whether a subject may be the cause. The first matching row counts."""

"""The tree of errors.

Each error carries a stable ``code`` for machines, an HTTP ``status`` for the admin API, and a message that
names the field and how to fix it. Messages never hold a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class NotifierError(Exception):
    """The base of all errors that this product raises."""

    code: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"
    status: ClassVar[int] = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ConfigError(NotifierError):
    """A setting has an invalid value; the message is one line that names the setting."""

    code = "bad-setting"
    title = "Bad setting"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One refused field: ``loc`` is its path in the body or query, ``msg`` says what would be accepted."""

    loc: tuple[str | int, ...]
    msg: str


class InvalidInputError(NotifierError):
    """Something a caller sent was refused; ``errors`` names each field."""

    code = "invalid-request"
    title = "The request is not valid"
    status = 422

    def __init__(self, message: str, *errors: FieldError) -> None:
        super().__init__(message)
        self.errors = errors

    @classmethod
    def of(cls, field: str, msg: str) -> InvalidInputError:
        """Refuse the single body field ``field``."""
        return cls(f"{field}: {msg}", FieldError(("body", field), msg))


class BadRequestError(NotifierError):
    """The request could not be parsed (not JSON, an invalid cursor)."""

    code = "bad-request"
    title = "The request could not be read"
    status = 400


class UnauthorizedError(NotifierError):
    """The API key is missing or unknown."""

    code = "unauthorized"
    title = "A valid API key is needed"
    status = 401


class UnknownKeyError(UnauthorizedError):
    """The key is unknown or has expired."""


class ForbiddenError(NotifierError):
    """The key is good, and may not do this."""

    code = "forbidden"
    title = "The API key may not do this"
    status = 403


class NotFoundError(NotifierError):
    """There is no such record."""

    code = "not-found"
    title = "Not found"
    status = 404

    @classmethod
    def of(cls, kind: str, record_id: str) -> NotFoundError:
        """There is no ``kind`` with this id."""
        return cls(f"There is no {kind} {record_id}.")


class MethodNotAllowedError(NotifierError):
    """The path exists, the method does not."""

    code = "method-not-allowed"
    title = "Method not allowed"
    status = 405


class ConflictError(NotifierError):
    """The request conflicts with what is stored; ``existing_id`` names the conflicting record."""

    code = "conflict"
    title = "Conflict"
    status = 409

    def __init__(self, message: str, *, existing_id: str | None = None) -> None:
        super().__init__(message)
        self.existing_id = existing_id


class IdempotencyKeyReusedError(ConflictError):
    """The idempotency key belongs to a request with another path or body."""

    code = "idempotency-key-reused"
    title = "The idempotency key was used for another request"


class IdempotencyInProgressError(ConflictError):
    """The first request with this idempotency key is still running; the caller should try again soon."""

    code = "idempotency-in-progress"
    title = "The first request with this idempotency key is still running"


class RequestTimeoutError(NotifierError):
    """The request did not arrive in time."""

    code = "request-timeout"
    title = "The request took too long to arrive"
    status = 408


class UriTooLongError(NotifierError):
    """The request target is over the limit."""

    code = "uri-too-long"
    title = "The URL is too long"
    status = 414


class ExpectationFailedError(NotifierError):
    """The ``Expect`` header asks for something other than ``100-continue``."""

    code = "expectation-failed"
    title = "The expectation cannot be met"
    status = 417


class HeadersTooLargeError(NotifierError):
    """A header is over the limit, or there are too many of them."""

    code = "headers-too-large"
    title = "The headers are too large"
    status = 431


class PayloadTooLargeError(NotifierError):
    """The body is over the limit."""

    code = "payload-too-large"
    title = "The body is too large"
    status = 413


class UnsupportedMediaTypeError(NotifierError):
    """The media type, the charset or the encoding of the body is not supported."""

    code = "unsupported-media-type"
    title = "Unsupported media type"
    status = 415


class UnsupportedEncodingError(UnsupportedMediaTypeError):
    """The content coding of the body is not supported."""


class UnsupportedPatchError(UnsupportedMediaTypeError):
    """The media type of a PATCH body is not supported."""


class UnavailableError(NotifierError):
    """Something this product needs (Redis, a worker) does not answer."""

    code = "unavailable"
    title = "Not ready"
    status = 503


class UnusableServerError(UnavailableError):
    """Redis refuses what this product needs; waiting does not help, a setting must change first."""


class VersionConflictError(NotifierError):
    """Another worker committed first; read again and decide again."""

    code = "version-conflict"
    title = "Changed meanwhile"
    status = 409


class SecretFormError(NotifierError):
    """A signing secret does not have the form that the Standard Webhooks specification requires."""

    code = "bad-secret"
    title = "Bad secret"
    status = 422


class SignatureError(NotifierError):
    """A received webhook does not verify; the message says why without showing a secret."""

    code = "bad-signature"
    title = "The signature does not verify"
    status = 401


class AddressError(NotifierError):
    """A URL or an address that webhooks must not reach; the message says which rule it breaks."""

    code = "blocked-address"
    title = "Forbidden address"
    status = 422


class ProxyError(NotifierError):
    """The outbound proxy failed; that is not the receiver's fault."""

    code = "proxy"
    title = "The outbound proxy does not work"


class ScenarioError(NotifierError):
    """A scenario file is not what docs/simulator.md describes; the message names the place."""

    code = "bad-scenario"
    title = "Bad scenario"
    status = 422

"""What an endpoint's kind has to say about its fields, and its target."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Final

from pydantic import ValidationError

from notifier.api.validation import invalid
from notifier.core.delivery.addresses import check_url
from notifier.core.delivery.endpoint import Endpoint, KindName, Ordering, SealedTarget
from notifier.core.delivery.kinds.kind import Kind
from notifier.core.delivery.kinds.target import Target, read_target, written
from notifier.errors import (
    AddressError,
    ConfigError,
    ConflictError,
    FieldError,
    InvalidInputError,
    UnavailableError,
)
from notifier.runtime import Runtime
from notifier.store.sealing import sealed_target

TARGET: Final = "target"
OF_SIGNED_POSTS: Final = frozenset({"url", "payload", "format", "signing", "secret", "verify", "headers"})
"""What a caller can say of a webhook only."""


def kind_named(runtime: Runtime, name: str) -> Kind[Any]:
    """Return the kind with a name.

    Raises:
        InvalidInputError: There is none of this name.
    """
    kind = runtime.kinds.get(KindName(name))
    if kind is None:
        known = " or ".join(f"'{each}'" for each in runtime.kinds)
        raise InvalidInputError.of("kind", f"this version takes {known}")
    return kind


def kind_of(runtime: Runtime, endpoint: Endpoint) -> Kind[Any]:
    """Return the kind of an endpoint.

    Raises:
        ConflictError: A later version has added it.
    """
    kind = runtime.kinds.get(endpoint.kind)
    if kind is None:
        raise ConflictError(
            f"{endpoint.id} is of the kind {endpoint.kind}, which this version does not have."
        )
    return kind


def check_fields(kind: Kind[Any], given: Collection[str], ordering: Ordering) -> None:
    """See that a caller says nothing that means nothing for a kind.

    Raises:
        InvalidInputError: It names every refused field.
    """
    foreign = frozenset({TARGET}) if kind.target is None else OF_SIGNED_POSTS
    problem = f"an endpoint of the kind {kind.name} has none; leave it out"
    problems = dict.fromkeys(sorted(foreign & set(given)), problem)
    if kind.target is not None and "ordering" in given and ordering is not Ordering.SPACE:
        problems["ordering"] = f'is always "{Ordering.SPACE}" for the kind {kind.name}'
    if problems:
        text = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
        raise InvalidInputError(text, *(FieldError(("body", name), msg) for name, msg in problems.items()))


def seal_target(
    runtime: Runtime, model: type[Target], document: dict[str, Any], *, before: SealedTarget | None = None
) -> SealedTarget:
    """Check a target and seal it; one equal to ``before`` is kept unchanged.

    Raises:
        InvalidInputError: It names every refused field.
    """
    target = _checked(runtime, model, document)
    if before is not None and _opened(runtime, before) == written(target):
        return before
    return sealed_target(target, runtime.secrets, now=runtime.clock())


def opened_target(runtime: Runtime, endpoint: Endpoint) -> dict[str, Any]:
    """Return the target of an endpoint with its secrets in the clear, for a merge patch to be laid over.

    Raises:
        UnavailableError: Its master key is missing.
    """
    text = None if endpoint.target is None else _opened(runtime, endpoint.target)
    if text is None:
        raise UnavailableError("NOTIFIER_MASTER_KEYS: the target cannot be opened; send all of it.")
    document: dict[str, Any] = json.loads(text)
    return document


def _opened(runtime: Runtime, target: SealedTarget) -> str | None:
    try:
        return runtime.secrets.open(target.sealed)
    except ConfigError:
        return None


def _checked(runtime: Runtime, model: type[Target], document: dict[str, Any]) -> Target:
    settings = runtime.settings
    try:
        target = read_target(model, json.dumps(document))
    except ValidationError as error:
        raise invalid("body", error, within=TARGET) from None
    for name, url in target.urls().items():
        try:
            check_url(url, allow_http=settings.allow_http, allowed=settings.allowed_networks)
        except AddressError as error:
            raise _refused(name, error.message) from error
        except InvalidInputError as error:
            raise _refused(name, error.errors[0].msg) from error
    return target


def _refused(name: str, problem: str) -> InvalidInputError:
    return InvalidInputError(f"{TARGET}.{name}: {problem}", FieldError(("body", TARGET, name), problem))

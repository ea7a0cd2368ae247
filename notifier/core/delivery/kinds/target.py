"""Targets: what an endpoint of a kind needs to reach its destination, and how that is shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, SecretStr

LAST_SHOWN: Final = 4
SHORTEST_WITH_LAST: Final = 12
"""Of a shorter secret nothing is shown: four characters would be too much of it."""

MASK: Final = "…"


class Target(BaseModel):
    """The base of the kinds' target models. A ``SecretStr`` in it is masked wherever it is shown."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    def urls(self) -> Mapping[str, str]:
        """Return the URLs that it names, by field; each is checked as that of a webhook is."""
        return {}


AnyTarget = TypeVar("AnyTarget", bound=Target)


def read_target(model: type[AnyTarget], document: str) -> AnyTarget:
    """Read a target from JSON.

    Raises:
        ValidationError: It does not have the form of this kind.
    """
    return model.model_validate_json(document)


def written(target: Target) -> str:
    """Return a target as JSON with its secrets in the clear, to be sealed."""
    return json.dumps(_jsonable(target, lambda secret: secret))


def masked(target: Target) -> dict[str, Any]:
    """Return a target as it is shown: of each secret its last four characters, and of a URL its host."""
    return _jsonable(target, mask)


def mask(secret: str) -> str:
    """Mask one secret."""
    scheme, is_url, rest = secret.partition("://")
    host = f"{scheme}://{rest.partition('/')[0].rpartition('@')[2]}/" if is_url else ""
    return host + MASK + (secret[-LAST_SHOWN:] if len(secret) >= SHORTEST_WITH_LAST else "")


def _jsonable(target: Target, show: Callable[[str], str]) -> dict[str, Any]:
    shown: dict[str, Any] = _shown(target.model_dump(), show)
    return shown


def _shown(value: Any, show: Callable[[str], str]) -> Any:  # noqa: ANN401  any part of a target
    if isinstance(value, SecretStr):
        return show(value.get_secret_value())
    if isinstance(value, Mapping):
        return {name: _shown(inner, show) for name, inner in value.items()}
    return [_shown(inner, show) for inner in value] if isinstance(value, list | tuple) else value

"""One call of the admin API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from notifier.errors import UnavailableError

TIMEOUT: Final = aiohttp.ClientTimeout(total=30)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A problem document; as text it is one line with the title, the detail and the refused fields."""

    status: int
    title: str
    detail: str
    fields: tuple[str, ...]

    def __str__(self) -> str:
        reason = self.detail if not self.fields else "; ".join(self.fields)
        return (
            f"{self.title}: {reason}" if reason and reason != self.title else f"{self.title} ({self.status})"
        )


async def call(
    method: str,
    url: str,
    key: str,
    *,
    query: Mapping[str, str],
    body: Mapping[str, object] | None,
) -> dict[str, Any] | Refusal:
    """Return the JSON object of the answer (empty for 204), or the refusal.

    Raises:
        UnavailableError: There is no connection, no answer in time, or no answer of the admin API.
    """
    headers = {"Authorization": f"Bearer {key}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT, headers=headers) as session,
            session.request(method, url, params=query, json=body, allow_redirects=False) as response,
        ):
            raw = await response.read()
            status = response.status
    except TimeoutError:
        raise UnavailableError("time-out") from None
    except (aiohttp.ClientError, ValueError) as error:  # ValueError: the key is not valid in a header
        raise UnavailableError(type(error).__name__) from None
    if status == HTTPStatus.NO_CONTENT:
        return {}
    try:
        document = json.loads(raw)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise UnavailableError(f"status {status}, not the admin API's JSON")
    return document if status < HTTPStatus.MULTIPLE_CHOICES else _refusal(status, document)


def _refusal(status: int, document: Mapping[str, Any]) -> Refusal:
    fields = tuple(
        f"{'.'.join(str(step) for step in error['loc'])}: {error['msg']}"
        for error in document.get("errors", ())
    )
    title, detail = str(document.get("title", "Refused")), str(document.get("detail", ""))
    return Refusal(status, title, detail, fields)

"""What an operation derives from its handler, and what a handler must declare."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import BaseModel

from notifier.api.bodies import Body, Query
from notifier.api.operations import Call, operation
from notifier.api.paging import PageView
from notifier.http.access import PUBLIC
from notifier.http.reply import Reply


class Thing(BaseModel):
    name: str


class ThingBody(Body):
    name: str


class ThingQuery(Query):
    name: str = ""


async def change_thing(call: Call[ThingBody, ThingQuery]) -> Reply[PageView[Thing]]:
    """Change a thing.

    It is changed for everybody,
    and for ever.
    """
    raise NotImplementedError(call)


async def forget_things(_call: Call[None, None]) -> Reply[None]:
    """Forget them all."""
    return Reply.nothing()


async def show_things(_call: Call[None, None]) -> Reply[bytes]:
    """Show them."""
    return Reply.content(b"things", "text/plain")


async def mute(_call: Call[None, None]) -> Reply[None]:
    return Reply.nothing()


async def without_annotations(call):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201  the case
    """Say nothing of its models."""
    raise NotImplementedError(call)


async def without_an_answer(_call: Call[None, None]) -> None:
    """Say nothing of its answer."""


async def with_another_body(_call: Call[ThingQuery, None]) -> Reply[None]:  # type: ignore[type-var]
    """Take a query for a body."""
    return Reply.nothing()


async def with_another_query(_call: Call[None, ThingBody]) -> Reply[None]:  # type: ignore[type-var]
    """Take a body for a query."""
    return Reply.nothing()


async def with_anything(_call: Call[Any, Any]) -> Reply[Any]:
    """Say that it could be anything."""
    return Reply.nothing()


async def with_more(_call: Call[None, None], _more: int) -> Reply[None]:
    """Take more than a call."""
    return Reply.nothing()


async def with_a_text(_call: Call[None, None]) -> Reply[str]:  # type: ignore[type-var]
    """Answer with what is no model."""
    raise NotImplementedError


def test_models_and_texts_come_from_the_handler() -> None:
    read = operation("PATCH", "/v1/things", change_thing, PUBLIC)
    assert (read.body, read.query, read.answer) == (ThingBody, ThingQuery, PageView[Thing])
    assert read.summary == "Change a thing"
    assert read.description == "It is changed for everybody,\nand for ever."


@pytest.mark.parametrize("handler", [forget_things, show_things])
def test_missing_parts_are_none(handler: Callable[[Call[None, None]], Awaitable[Reply[Any]]]) -> None:
    read = operation("GET", "/v1/things", handler, PUBLIC)
    assert (read.body, read.query, read.answer, read.description) == (None, None, None, "")


@pytest.mark.parametrize(
    "handler",
    [
        without_annotations,
        without_an_answer,
        with_another_body,
        with_another_query,
        with_anything,
        with_more,
        with_a_text,
        mute,
    ],
)
def test_an_incomplete_handler_fails_at_import(handler: Any) -> None:
    with pytest.raises(TypeError, match=f"tests.unit.test_operations.{handler.__name__}: "):
        operation("GET", "/v1/things", handler, PUBLIC)


def test_the_answer_of_a_post_can_be_stored() -> None:
    with pytest.raises(TypeError, match="kept"):
        operation("POST", "/v1/things", show_things, PUBLIC)

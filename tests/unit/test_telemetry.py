from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import structlog

from notifier.telemetry import configure_logging
from tests.support.logs import logging_as_before


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    with logging_as_before():
        yield


def refuse(key: str) -> None:
    """Fail with a secret among the variables of the frame."""
    opened = [key]
    message = f"{len(opened)} key refused"
    raise ValueError(message)


@pytest.mark.usefixtures("_logging_as_before")
@pytest.mark.parametrize("log_format", ["console", "json"])
@pytest.mark.parametrize("get_logger", [structlog.get_logger, logging.getLogger])
def test_a_traceback_shows_where_it_failed_and_no_variables(
    capsys: pytest.CaptureFixture[str],
    log_format: str,
    get_logger: Callable[[str], structlog.stdlib.BoundLogger | logging.Logger],
) -> None:
    secret = "an admin key".replace(" ", "-")  # not in the source code of any frame
    configure_logging(log_format, "INFO")
    log = get_logger("notifier.test")
    try:
        refuse(secret)
    except ValueError:
        log.exception("request.failed")
        log.warning("request.failed_again", exc_info=True)
    shown = capsys.readouterr().err
    assert secret not in shown
    assert shown.count("1 key refused") == shown.count("in refuse") == 2


@pytest.mark.usefixtures("_logging_as_before")
@pytest.mark.parametrize("value", ["half an emoji \ud83d", 2**80, {1: "a key that is no text"}])
def test_values_that_are_not_json_are_logged_anyway(
    capsys: pytest.CaptureFixture[str], value: object
) -> None:
    configure_logging("json", "INFO")
    structlog.get_logger("notifier.test").info("space.seen", value=value, other="ok")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["other"]) == ("space.seen", "ok")
    assert str(line["value"]) in (str(value), "{'1': 'a key that is no text'}")


@dataclass(frozen=True, slots=True)
class Opened:
    """A record that hides its secret."""

    name: str
    secret: str = field(repr=False)


@pytest.mark.usefixtures("_logging_as_before")
def test_a_record_is_logged_by_its_repr(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json", "INFO")
    structlog.get_logger("notifier.test").info("endpoint.read", opened=Opened("a", "hush"))
    shown = capsys.readouterr().err
    assert "Opened(name='a')" in shown
    assert "hush" not in shown

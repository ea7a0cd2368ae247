from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from notifier.telemetry import METRICS, Tally, configure_logging, render


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    """Undo what configure_logging does to the process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    for handler in handlers:
        # Else they would be closed when others take their place.
        root.removeHandler(handler)
    yield
    structlog.reset_defaults()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_counters_carry_their_labels() -> None:
    tally = Tally()
    tally.count("notifier_events_total", "space.started")
    tally.count("notifier_events_total", "space.started")
    tally.count("notifier_observations_total", "lookup", "ok")
    shown = samples(render(tally.take(), {}))
    assert shown["notifier_events_total", (("type", "space.started"),)] == 2
    assert shown["notifier_observations_total", (("result", "ok"), ("source", "lookup"))] == 1


def test_a_histogram_adds_up_from_its_smallest_bucket() -> None:
    tally = Tally()
    for seconds in (0.001, 0.01, 0.02, 99.0):
        tally.observe("notifier_attempt_seconds", seconds)
    shown = samples(render(tally.take(), {}))
    assert shown["notifier_attempt_seconds_bucket", (("le", "0.005"),)] == 1
    assert shown["notifier_attempt_seconds_bucket", (("le", "0.01"),)] == 2
    assert shown["notifier_attempt_seconds_bucket", (("le", "30.0"),)] == 3
    assert shown["notifier_attempt_seconds_bucket", (("le", "+Inf"),)] == 4
    assert shown["notifier_attempt_seconds_count", ()] == 4
    assert round(shown["notifier_attempt_seconds_sum", ()], 3) == 99.031


def test_every_metric_is_shown_from_the_start() -> None:
    text = render({}, {}).decode()
    assert all(f"# TYPE {name.removesuffix('_total')}" in text for name in METRICS)


def test_what_was_handed_over_is_not_counted_again_unless_it_comes_back() -> None:
    tally = Tally()
    tally.count("notifier_events_total", "space.ended")
    counts = tally.take()
    assert tally.take() == {}
    tally.give_back(counts)
    assert tally.take() == counts


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
    secret = "an admin key".replace(" ", "-")  # not in the source of any frame
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

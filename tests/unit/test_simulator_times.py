from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from notifier.simulator.scenario_time import ScenarioTime
from notifier.simulator.times import RelativeTime, parse_duration, parse_moment, parse_shift

START = datetime(2021, 7, 6, 18, 40, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0), ("5s", 5), ("1.5s", 1.5), ("2m", 120), ("1h30m", 5400), ("1h0m1s", 3601), ("24h", 86400)],
)
def test_durations_are_hours_minutes_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", 5, None, "s", "5x", "30m1h", "-5s", "+5s", "1 h", "5s ", "1e3s", "\u0665s", ["5s"]]
)
def test_any_other_text_is_not_a_duration(text: object) -> None:
    with pytest.raises(PydanticCustomError, match="1h30m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("written", "seconds"), [("-5m", -300), ("+1.5s", 1.5), ("90s", 90), ("-0s", 0), (-300.0, -300), (2, 2)]
)
def test_a_clock_is_ahead_or_behind(written: object, seconds: float) -> None:
    assert parse_shift(written) == seconds


@pytest.mark.parametrize("written", ["", "-", "--5m", "+-5m", "5", "-5", "5m-", None, ["5m"]])
def test_any_other_text_is_not_a_clock_shift(written: object) -> None:
    with pytest.raises(PydanticCustomError, match="-5m"):
        parse_shift(written)


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99_999))
def test_a_written_duration_reads_as_its_sum(hours: int, minutes: int, milliseconds: int) -> None:
    text = f"{hours}h{minutes}m{milliseconds / 1000}s"
    assert parse_duration(text) == pytest.approx(hours * 3600 + minutes * 60 + milliseconds / 1000)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("+20s", RelativeTime(20.0)),
        ("-10s", RelativeTime(-10.0)),
        ("+1h30m", RelativeTime(5400.0)),
        ("2021-07-06T18:40:40Z", START),
        ("2021-07-06T20:40:40.000+02:00", START),
    ],
)
def test_moments_are_relative_or_absolute(text: str, moment: object) -> None:
    assert parse_moment(text) == moment


@pytest.mark.parametrize("text", ["20s", "+20", "+-20s", "soon", "2021-13-01T00:00:00Z", 7, None])
def test_any_other_text_is_not_a_moment(text: object) -> None:
    with pytest.raises(PydanticCustomError):
        parse_moment(text)


@pytest.mark.parametrize("text", ["2021-07-06T18:40:40", "2021-07-06"])
def test_a_timestamp_needs_its_offset(text: str) -> None:
    with pytest.raises(PydanticCustomError, match="offset"):
        parse_moment(text)


def _scenario_time(speed: float, now: float = 0.0) -> ScenarioTime:
    return ScenarioTime(started_at=START.timestamp(), speed=speed, clock=lambda: START.timestamp() + now)


@pytest.mark.parametrize(
    ("speed", "moment", "text"),
    [
        (1.0, RelativeTime(0.0), "2021-07-06T18:40:40.000Z"),
        (1.0, RelativeTime(20.0), "2021-07-06T18:41:00.000Z"),
        (10.0, RelativeTime(20.0), "2021-07-06T18:40:42.000Z"),
        (8.0, RelativeTime(-2.0), "2021-07-06T18:40:39.750Z"),
        (3.0, RelativeTime(1.0), "2021-07-06T18:40:40.333Z"),
        (60.0, datetime(2021, 7, 14, 4, 35, 55, tzinfo=UTC), "2021-07-14T04:35:55.000Z"),
        (1.0, datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
        (1.0, datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC), "2099-12-31T23:59:59.000Z"),
    ],
)
def test_moments_are_shown_on_the_real_clock(speed: float, moment: RelativeTime, text: str) -> None:
    assert _scenario_time(speed).timestamp(moment) == text


def test_the_scenario_runs_at_its_speed() -> None:
    scenario_time = _scenario_time(speed=10.0, now=2.0)
    assert scenario_time.offset == pytest.approx(20.0)
    assert scenario_time.real_seconds(20.0) == pytest.approx(2.0)


@given(
    st.floats(0.1, 1000),
    st.floats(-100_000, 100_000, allow_subnormal=False),
    st.floats(-100_000, 100_000, allow_subnormal=False),
)
def test_shown_times_keep_their_order_at_any_speed(speed: float, one: float, other: float) -> None:
    earlier, later = sorted((one, other))
    scenario_time = _scenario_time(speed)
    assert scenario_time.timestamp(RelativeTime(earlier)) <= scenario_time.timestamp(RelativeTime(later))

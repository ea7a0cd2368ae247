from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.model.instants import MAX_LENGTH, instant, rfc3339

EIGHT = 1_626_249_600.0


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        ("2021-07-14T08:00:00Z", EIGHT),
        ("2021-07-14T08:00:00.000Z", EIGHT),
        ("2021-07-14t08:00:00.25z", EIGHT + 0.25),
        ("2021-07-14T10:00:00+02:00", EIGHT),
        ("2021-07-13T21:30:00-10:30", EIGHT),
        ("2021-07-14T08:00:00", EIGHT),
        ("2021-07-14T08:00:00.123456789Z", EIGHT + 0.123456),
        ("1969-12-31T23:59:59Z", -1.0),
    ],
)
def test_offsets_and_fractions_are_read(raw: str, seconds: float) -> None:
    assert instant(raw) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "",
        "soon",
        "2021-7-14T04:35:55Z",
        "2021-07-14T25:00:00Z",
        "2021-02-30T00:00:00Z",
        "1626249600",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2021-07-14T08:00:00." + "0" * MAX_LENGTH + "Z",
        "2021-07-14T08:00:00Z\x00",
        "\ud800",
    ],
)
def test_an_unreadable_time_is_unknown(raw: str | None) -> None:
    assert instant(raw) is None


@given(st.text(st.characters(exclude_categories=()), max_size=80))
def test_reading_never_raises(raw: str) -> None:
    assert instant(raw) is None or isinstance(instant(raw), float)


@given(st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()))
def test_what_can_be_read_can_be_written(raw: str) -> None:
    seconds = instant(raw)
    if seconds is not None and seconds < 253_402_300_799:
        assert rfc3339(seconds).endswith("Z")


@given(st.integers(-62_135_596_800_000, 253_402_300_799_000))
def test_writing_and_reading_keep_the_millisecond(milliseconds: int) -> None:
    written = rfc3339(milliseconds / 1000)
    assert len(written) == len("2021-07-14T08:00:00.000Z")
    assert instant(written) == pytest.approx(milliseconds / 1000, abs=0.0011)

"""The rows of the schema: building and parsing key names."""

from __future__ import annotations

from pathlib import Path

import pytest

from notifier.store import schema
from notifier.store.key_page import key_page
from notifier.store.schema import ROWS, Domain, Row, place_of


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_key_name_is_parsed_into_its_parts(row: Row) -> None:
    parts = tuple(str(number) for number, _ in enumerate(row.parts, start=10))
    place = place_of(row(*parts))
    assert place is not None
    assert (place.row, place.parts) == (row, parts)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_tag_says_which_side_a_key_belongs_to(row: Row) -> None:
    tag = row(*range(len(row.parts))).partition("}")[0]
    assert tag == ("sn:{d" if row.domain is Domain.DECIDING else "sn:{p0")


def test_a_part_may_contain_colons_if_its_row_says_so() -> None:
    place = place_of(schema.IDEMPOTENCY("a:b"))
    assert place is not None
    assert place.part("key") == "a:b"
    assert place_of(schema.SPACE("a:b:c")) is None


def test_a_name_needs_all_its_parts() -> None:
    with pytest.raises(TypeError, match="due:<endpoint> takes partition, endpoint; 1 given"):
        schema.DUE("ep_1")


@pytest.mark.parametrize(
    "name", ["sn:outbox", "sn:{d}:nonsense", "sn:{p1}:outbox", "sn:{px}:ready", "arq:job"]
)
def test_an_unknown_key_has_no_row(name: str) -> None:
    assert place_of(name) is None


def test_the_page_of_keys_is_generated_from_the_rows() -> None:
    page = Path(__file__).parents[2] / "docs" / "keys.md"
    assert page.read_text() == key_page()

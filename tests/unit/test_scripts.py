"""The scripts as sent to Redis, assembled from their files and the schema."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

import pytest

from notifier.store import schema
from notifier.store.endpoint_state import StateField
from notifier.store.scripts import rows_in, script

FOLDER: Final = files("notifier.store") / "lua"
NAMES: Final = sorted(
    path.name.removesuffix(".lua") for path in FOLDER.iterdir() if path.name.endswith(".lua")
)
FILES: Final = {
    path.name: path.read_text()
    for folder in (FOLDER, FOLDER / "lib")
    for path in folder.iterdir()
    if path.name.endswith(".lua")
}
MOST_ARGUMENTS: Final = 6
STATE_CALL: Final = re.compile(
    r"(?:\bset|set_state|add_to_state|read_state)\(([^()]*(?:\([^()]*\)[^()]*)*)\)"
)


@pytest.mark.parametrize("name", NAMES)
def test_each_function_is_defined_once(name: str) -> None:
    source = script(name).source
    defined = re.findall(r"^local function (\w+)", source, re.MULTILINE)
    assert sorted(set(defined)) == sorted(defined)


@pytest.mark.parametrize("name", NAMES)
def test_each_script_names_its_engine_and_has_a_key(name: str) -> None:
    source = script(name).source
    assert source.startswith("#!lua")
    assert "-- KEYS: none" not in source


@pytest.mark.parametrize("name", FILES)
def test_no_script_contains_a_literal_key(name: str) -> None:
    assert not re.search(r"['\"]sn:|['\"]arq:", FILES[name])


@pytest.mark.parametrize("name", FILES)
def test_only_the_owner_of_an_endpoint_s_state_names_its_key(name: str) -> None:
    assert "state_key(" not in FILES[name] or name == "state.lua"


@pytest.mark.parametrize("name", FILES)
def test_the_fields_of_an_endpoint_s_state_are_those_of_its_owner(name: str) -> None:
    fields = {
        field
        for arguments in STATE_CALL.findall(FILES[name])
        for field in re.findall(r"(?<![=~<>] )'(\w+)'", arguments)
    }
    assert fields <= set(StateField)


@pytest.mark.parametrize("name", NAMES)
def test_many_arguments_are_passed_as_one_object(name: str) -> None:
    head = FILES[f"{name}.lua"].partition("-- ARGV:")[2].partition("-- Returns")[0]
    assert all(int(number) <= MOST_ARGUMENTS for number in re.findall(r"(?:^|[ ,]) ?(\d+) [a-z]", head))


def test_the_schema_decides_what_a_script_may_name() -> None:
    assert rows_in("x", "redis.call('GET', due_key(endpoint), ready_key)") == [schema.DUE, schema.READY]
    with pytest.raises(ValueError, match="names nonsense_key, which the schema does not declare"):
        rows_in("x", "nonsense_key(a)")
    with pytest.raises(ValueError, match="keys of both domains"):
        rows_in("x", "due_key(endpoint) .. outbox_key")

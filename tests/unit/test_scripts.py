"""The scripts as they are sent to Redis, put together from their own file and what it includes."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from notifier.store.scripts import script

NAMES = sorted(
    path.name.removesuffix(".lua")
    for path in (files("notifier.store") / "lua").iterdir()
    if path.name.endswith(".lua")
)


@pytest.mark.parametrize("name", NAMES)
def test_each_function_is_defined_once(name: str) -> None:
    source = script(name).source
    defined = re.findall(r"^local function (\w+)", source, re.MULTILINE)
    assert sorted(set(defined)) == sorted(defined)

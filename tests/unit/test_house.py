"""Project rules that no linter checks."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_test_imports_another() -> None:
    """What tests share is in tests/support/."""
    folders = ("unit", "integration", "e2e")
    imports = re.compile(rf"^from tests\.({'|'.join(folders)})\b", re.MULTILINE)
    tests = [path for folder in folders for path in (ROOT / "tests" / folder).rglob("*.py")]
    assert tests
    assert [path.name for path in tests if imports.search(path.read_text())] == []


def test_unit_tests_start_no_process() -> None:
    starts = re.compile(r"^(import subprocess|from asyncio\.subprocess)|create_subprocess", re.MULTILINE)
    tests = [
        path for path in (ROOT / "tests" / "unit").rglob("test_*.py") if path.name != Path(__file__).name
    ]
    assert [path.name for path in tests if starts.search(path.read_text())] == []


def test_tests_that_depend_on_the_server_are_marked() -> None:
    """`.ci/run` repeats the marked tests on the distribution's Redis."""
    tests = [path for name in ("store", "redis") for path in (ROOT / "tests").rglob(f"test_{name}_*.py")]
    shows = [path for path in tests if path.parent.name != "unit"]
    assert shows
    assert [path.name for path in shows if "pytest.mark.server" not in path.read_text()] == []

"""Fixtures for tests of the whole product."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.installation import installation
from tests.support.terminal import Terminal
from tests.support.threads import in_a_thread


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A terminal with a running installation, shared by the tests of a module because its start is slow."""
    directory = tmp_path_factory.mktemp("up")
    with in_a_thread(installation(directory)) as stack:
        yield Terminal(directory, stack.runtime.settings.port)

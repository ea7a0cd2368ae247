"""Logging as a test found it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog

CONFIGURED: Final = ("arq", "aiohttp.access", "asyncio")
"""The loggers whose levels ``configure_logging`` sets."""


@contextmanager
def logging_as_before() -> Iterator[None]:
    """Undo what ``configure_logging`` does to the process when the block ends."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in CONFIGURED}
    configured, config = structlog.is_configured(), structlog.get_config()
    for handler in handlers:
        # Otherwise they would be closed when replaced.
        root.removeHandler(handler)
    try:
        yield
    finally:
        structlog.reset_defaults()
        if configured:
            structlog.configure(**config)
        _forget_cached_loggers()
        for handler in list(root.handlers):
            root.removeHandler(handler)
        for handler in handlers:
            root.addHandler(handler)
        root.setLevel(level)
        for name, before in levels.items():
            logging.getLogger(name).setLevel(before)


def _forget_cached_loggers() -> None:
    """Let loggers of modules be built again: at their first line, they kept the stream of that time."""
    for name, module in list(sys.modules.items()):
        if name.startswith(("notifier.", "workers.")) and hasattr(module, "log"):
            vars(module.log).pop("bind", None)

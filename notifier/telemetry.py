"""Logging: structured lines on standard error, for people or for machines."""

from __future__ import annotations

import json
import logging
import sys
from typing import Final

import orjson
import structlog


def configure_logging(log_format: str, level: str) -> None:
    """Set up structlog and the standard library's loggers to write lines to standard error.

    Args:
        log_format: ``console`` for people, ``json`` for machines.
        level: The lowest level shown, by its standard name.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Python's own traceback, in both formats: the console renderer would print the variables of every
        # frame, including secrets.
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(_to_json)
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # arq logs every job and aiohttp every request; our own lines have what matters of both.
    for noisy in ("arq", "aiohttp.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


PASSED_TO_REPR: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
"""Where a record hides its secrets is said by its repr."""

ENCODER: Final = json.JSONEncoder(default=repr)


def _to_json(line: object, **_options: object) -> str:
    try:
        return orjson.dumps(line, default=repr, option=PASSED_TO_REPR).decode()
    except TypeError:
        # Half an emoji out of X's JSON, or a number of more than 64 bits.
        return ENCODER.encode(line)

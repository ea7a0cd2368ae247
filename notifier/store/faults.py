"""Converts errors of the Redis client into our own, with the server's words if it sent any.

The words of a server begin with a code (``MISCONF``, ``NOPERM``, ``LOADING``), and operators search for them.
redis-py cuts some codes off, and writes the whole command into the error of a pipeline, payload and all. So
:class:`WordsParser` keeps what the server wrote, and only that is shown.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from textwrap import shorten
from typing import Any, Final

from redis._parsers import _AsyncHiredisParser
from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import InvalidResponse

from notifier.errors import UnavailableError, UnusableServerError

MAX_WORDS_LENGTH: Final = 200
PREFIX: Final = "Redis does not serve: "
WORDS: Final = "server_words"
"""The attribute of an error that holds what the server wrote."""

SETTING_CODES: Final = frozenset(
    {"NOAUTH", "WRONGPASS", "NOPERM", "DENIED", "NOPROTO", "MOVED", "ASK", "CROSSSLOT"}
)
"""Error codes that need a change of a setting, here or on the server."""

SETTING_WORDS: Final = re.compile(
    r"unknown (redis |sub)?command|db index is out of range|invalid db index|no password is set"
    r"|without any password|invalid password|wrong number of arguments for 'auth'|operation not permitted"
    r"|acl failure in script|user executing the script|not allowed in cluster mode",
    re.IGNORECASE,
)
"""What servers of several versions say after the code ``ERR`` in such a case."""

SCRIPT_PLACE: Final = re.compile(
    r",? ?script: \w+, on @user_script:\d+\.?"
    r"|(Error running script )?\(call to f_\w+\): (@user_script: ?\d+: )?"
)
"""Where in a script it happened, as Redis 7 writes it behind the words, and Redis 6 in front of them."""

ARGUMENTS: Final = re.compile(r",? with args beginning with:.*", re.DOTALL)

NO_FOREIGN_TLS: Final = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""Errors of a TLS connection that broke, and say nothing against the server."""


class WordsParser(_AsyncHiredisParser):
    """redis-py's parser, which leaves the server's words with each error."""

    @classmethod
    def parse_error(cls, response: str) -> Any:  # noqa: ANN401 - redis-py has no annotations here
        """Make the exception for an error reply, and keep the reply."""
        error = super().parse_error(response)  # type: ignore[no-untyped-call]
        setattr(error, WORDS, response)
        return error


class NoPrimaryError(MasterNotFoundError):
    """No Sentinel names a server to write to; ``setting`` says whether that can pass without a change."""

    def __init__(self, message: str, *, setting: bool) -> None:
        super().__init__(message)
        self.setting = setting


def fault_of(error: Exception) -> UnavailableError:
    """Return our error for one of redis-py, a socket, TLS or asyncio.

    It is an :class:`UnusableServerError` where nothing serves until a setting has changed. Its message is one
    line of bounded length, without arguments of commands.
    """
    if isinstance(error, UnavailableError):
        return error
    words, settled = _said(error)
    line = shorten(
        "".join(each if each.isprintable() else " " for each in words), MAX_WORDS_LENGTH, placeholder=" …"
    )
    kind = UnusableServerError if settled else UnavailableError
    return kind(PREFIX + line)


def code_of(error: Exception) -> str:
    """Return the code that a server's error reply begins with, ``MISCONF``; empty where it said nothing."""
    return str(getattr(error, WORDS, "")).partition(" ")[0]


def _said(error: Exception) -> tuple[str, bool]:
    """Return the description of a failure, and whether a setting must change first."""
    chain = list(_chain(error))
    for each in chain:
        reply = getattr(each, WORDS, None)
        if reply is not None:
            return _reply(reply)
    for each in chain:
        if isinstance(each, ssl.SSLCertVerificationError):
            return f"its certificate is refused: {getattr(each, 'verify_message', each)}", True
        if isinstance(each, ssl.SSLError) and not isinstance(each, NO_FOREIGN_TLS):
            return f"no TLS with what is there: {getattr(each, 'reason', None) or each}", True
        if isinstance(each, InvalidResponse):
            return f"what is there does not speak Redis's protocol ({each})", True
        if isinstance(each, NoPrimaryError):
            return str(each), each.setting
    return str(error) or type(error).__name__, False


def _reply(reply: str) -> tuple[str, bool]:
    """Return a reply without arguments and places in scripts, and whether a setting must change first."""
    words = ARGUMENTS.sub("", SCRIPT_PLACE.sub("", reply))
    settled = words.partition(" ")[0] in SETTING_CODES or SETTING_WORDS.search(words) is not None
    return words, settled


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Walk from an error to what caused it: redis-py wraps what it meets while it connects."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)

"""Error messages for failures of Redis, and whether they are temporary."""

from __future__ import annotations

import ssl

import pytest
from redis.asyncio.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from notifier.errors import UnavailableError, UnusableServerError
from notifier.store.faults import MAX_WORDS_LENGTH, NoPrimaryError, WordsParser, code_of, fault_of

PASSES = {
    "disk full": "MISCONF Errors writing to the AOF file: No space left on device",
    "no memory": "OOM command not allowed when used memory > 'maxmemory'.",
    "wrong type": "WRONGTYPE Operation against a key holding the wrong kind of value",
    "busy": "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "a replica": "READONLY You can't write against a read only replica.",
    "loading": "LOADING Redis is loading the dataset in memory",
    "no primary behind a replica": "MASTERDOWN Link with MASTER is down",
    "too few replicas": "NOREPLICAS Not enough good replicas to write.",
    "too many clients": "ERR max number of clients reached",
    "a code of tomorrow": "SOMETHING new",
}
LASTS = {
    "no password": "NOAUTH Authentication required.",
    "wrong password": "WRONGPASS invalid username-password pair or user is disabled.",
    "needless password": "ERR AUTH <password> called without any password configured for the default user.",
    "needless password, long ago": "ERR Client sent AUTH, but no password is set",
    "not permitted": "NOPERM User default has no permissions to run the 'zadd' command",
    "not permitted in a script of 7.0": "ERR The user executing the script can't run this command",
    "not permitted in a script": "ERR ACL failure in script: User u has no permissions",
    "unknown command": "ERR unknown command 'SMISMEMBER'",
    "unknown in a script": "ERR Unknown Redis command called from script",
    "database": "ERR DB index is out of range",
    "protected mode": "DENIED Redis is running in protected mode because protected mode is enabled",
    "a cluster": "MOVED 3999 127.0.0.1:6381",
}


def replied(words: str) -> Exception:
    """Return the client's error for an error reply."""
    error = WordsParser.parse_error(words)
    assert isinstance(error, RedisError)
    return error


@pytest.mark.parametrize("words", PASSES.values(), ids=PASSES.keys())
def test_a_temporary_failure_quotes_the_server(words: str) -> None:
    fault = fault_of(replied(words))
    assert type(fault) is UnavailableError
    assert fault.message == f"Redis does not serve: {words}"


@pytest.mark.parametrize("words", LASTS.values(), ids=LASTS.keys())
def test_failures_that_need_another_setting_are_recognized(words: str) -> None:
    fault = fault_of(replied(words))
    assert type(fault) is UnusableServerError
    assert fault.message == f"Redis does not serve: {words}"
    assert fault.status == 503


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (
            "OOM command not allowed when used memory > 'maxmemory'. script: 0a1b, on @user_script:7.",
            "OOM command not allowed when used memory > 'maxmemory'.",
        ),
        (
            "ERR Error running script (call to f_0a1b): @user_script:7: WRONGTYPE Operation against a key",
            "ERR WRONGTYPE Operation against a key",
        ),
        (
            "ERR unknown command 'FOO', with args beginning with: 'hunter2' 'more' ",
            "ERR unknown command 'FOO'",
        ),
        ("ERR one\r\ntwo\x1b[2J", "ERR one two [2J"),
    ],
    ids=["place in a script", "place in a script of 6", "arguments", "several lines"],
)
def test_only_the_first_words_are_shown(reply: str, words: str) -> None:
    assert fault_of(replied(reply)).message == f"Redis does not serve: {words}"


def test_a_long_text_is_cut() -> None:
    message = fault_of(replied("ERR " + "word " * 100)).message
    assert len(message) <= MAX_WORDS_LENGTH + len("Redis does not serve: ")
    assert message.endswith("word …")


def test_the_command_added_by_a_pipeline_is_not_shown() -> None:
    """redis-py puts the whole command into the error, which may contain a body or a sealed secret."""
    error = replied("MISCONF Errors writing to the AOF file: No space left on device")
    Pipeline.annotate_exception(Pipeline.__new__(Pipeline), error, 1, ["SET", "key", "hunter2"])
    assert "hunter2" in str(error)
    assert fault_of(error).message.endswith("MISCONF Errors writing to the AOF file: No space left on device")
    assert code_of(error) == "MISCONF"


def wrapped(cause: Exception, text: str) -> Exception:
    """Return an error wrapped as by redis-py while connecting."""
    error = RedisConnectionError(text)
    error.__cause__ = cause
    return error


def test_the_servers_words_are_found_inside_errors_of_redis_py() -> None:
    error = wrapped(replied("WRONGPASS invalid username-password pair or user is disabled."), "Error")
    assert isinstance(fault_of(error), UnusableServerError)
    assert "WRONGPASS" in fault_of(error).message


def test_a_refused_certificate_needs_another_setting() -> None:
    cause = ssl.SSLCertVerificationError(1, "x")
    cause.verify_message = "Hostname mismatch, certificate is not valid for 'redis'."
    fault = fault_of(wrapped(cause, "Error 1 connecting"))
    assert isinstance(fault, UnusableServerError)
    assert fault.message.endswith("refused: Hostname mismatch, certificate is not valid for 'redis'.")


@pytest.mark.parametrize(
    ("error", "lasts"),
    [
        (wrapped(ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "Error"), True),
        (wrapped(ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), "Error"), False),
        (InvalidResponse('Protocol error, got "H" as reply type byte'), True),
        (NoPrimaryError("no Sentinel names a primary for 'x'", setting=True), True),
        (NoPrimaryError("no Sentinel names a primary for 'x'", setting=False), False),
        (RedisTimeoutError("Timeout reading from 127.0.0.1:6379"), False),
        (RedisConnectionError("Connection closed by server."), False),
        (ConnectionResetError(104, "Connection reset by peer"), False),
        (TimeoutError(), False),
    ],
    ids=[
        "not TLS",
        "broken TLS",
        "not Redis",
        "unknown service",
        "no primary",
        "silent",
        "closed",
        "reset",
        "late",
    ],
)
def test_errors_of_the_connection(error: Exception, lasts: bool) -> None:
    fault = fault_of(error)
    assert isinstance(fault, UnusableServerError) == lasts
    assert fault.message.removeprefix("Redis does not serve: ")


def test_an_error_of_our_own_is_unchanged() -> None:
    ours = UnusableServerError("it is too old")
    assert fault_of(ours) is ours

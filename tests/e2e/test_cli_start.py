"""Commands start quickly, and fail with one line and without a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import notifier
from notifier.cli.console import printable
from tests.support.commands import run_command
from tests.support.stand_ins import listening, speaks_http
from tests.support.threads import in_a_thread

HEAVY = ("aiohttp", "redis", "arq", "pydantic", "cryptography", "structlog", "uvloop", "yaml")


def test_the_help_loads_nothing_heavy() -> None:
    code = f"import sys, notifier.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_help_names_every_command() -> None:
    done = run_command("--help")
    assert done.code == 0
    for command in ("up", "api", "worker", "simulate", "listen", "sign", "verify", "demo"):
        assert f"\n  {command} " in done.output
    for group in ("watches", "endpoints", "events", "deliveries"):
        assert f"\n  {group} " in done.output


def test_the_version(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "notifier.cli", "--version"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == f"space-notifier {notifier.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "settings", "named"),
    [
        (["up"], {"PORT": "many"}, "NOTIFIER_PORT: "),
        (["api"], {"LEASE_SECONDS": "1"}, "NOTIFIER_LEASE_SECONDS: "),
        (["api"], {}, "NOTIFIER_REDIS_URL: "),
        (["worker"], {}, "NOTIFIER_REDIS_URL: "),
        (["worker"], {"REDIS_URL": "redis://127.0.0.1:1"}, "Redis"),
        (["up"], {"HOST": "192.0.2.1"}, "NOTIFIER_HOST, NOTIFIER_PORT: "),
        (["up"], {"DATA_DIR": "file"}, "NOTIFIER_DATA_DIR: "),
        (["up", "--simulate", "nothing"], {}, "nothing: no such scenario"),
        (["simulate", "demo", "--contract", "old"], {}, "--contract: "),
        (["simulate", "demo", "--speed", "0"], {}, "speed: "),
        (["listen", "--secret", "hunter2", "--port", "0"], {}, "whsec_"),
        (["sign", "--secret", "hunter2", "--id", "evt_1", "file"], {}, "whsec_"),
    ],
)
def test_a_command_that_cannot_run_fails_with_one_line(
    tmp_path: Path, arguments: list[str], settings: dict[str, str], named: str
) -> None:
    (tmp_path / "file").touch()
    done = run_command(*arguments, **({"PORT": "0"} | settings))
    assert done.code == 2
    assert named in done.errors
    assert done.errors.count("\n") == 1
    assert "hunter2" not in done.errors + done.output


def test_a_call_without_a_key_or_an_answer_fails_with_code_1() -> None:
    keyless = run_command("watches", "list")
    assert (keyless.code, keyless.errors.count("\n")) == (1, 1)
    assert "NOTIFIER_ADMIN_KEY" in keyless.errors
    deaf = run_command("watches", "list", "--url", "http://127.0.0.1:1", ADMIN_KEY="k")
    assert (deaf.code, deaf.errors.count("\n")) == (1, 1)
    assert "http://127.0.0.1:1 does not answer" in deaf.errors


def test_an_answer_that_is_not_the_apis_is_reported() -> None:
    with in_a_thread(listening(speaks_http)) as port:
        done = run_command("watches", "list", "--url", f"http://127.0.0.1:{port}", ADMIN_KEY="k")
    assert (done.code, done.errors.count("\n")) == (1, 1)
    assert "status 400, not the admin API's JSON" in done.errors


def test_output_contains_no_terminal_control_sequences() -> None:
    assert printable("a\x1b[2Jb\u202ec\ud800\n") == "a�[2Jb�c��"
    assert printable("👨\u200d👩\u200d👧 café") == "👨\u200d👩\u200d👧 café"

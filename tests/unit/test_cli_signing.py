"""``sign`` and ``verify``, against the independent library."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from standardwebhooks import Webhook
from typer.testing import CliRunner, Result

from notifier.cli import app
from notifier.core.delivery.signing import generate_private_key, receiver_secret
from notifier.errors import BadRequestError, SecretFormError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"type": "space.started", "caf\xc3\xa9": 1}'


@pytest.fixture
def body_file(tmp_path: Path) -> str:
    path = tmp_path / "body.json"
    path.write_bytes(BODY)
    return str(path)


def run(*arguments: str, stdin: bytes | None = None, secret: str = SECRET) -> Result:
    return CliRunner().invoke(app, list(arguments), input=stdin, env={"NOTIFIER_WEBHOOK_SECRET": secret})


def headers_of(result: Result) -> dict[str, str]:
    assert result.exit_code == 0, result.output
    return dict(line.split(": ", 1) for line in result.stdout.splitlines())


def verify(headers: dict[str, str], body: str, *more: str, secret: str = SECRET) -> Result:
    options = [f"--{name.removeprefix('webhook-')}={value}" for name, value in headers.items()]
    return run("verify", *options, *more, body, secret=secret)


def test_a_signature_verifies_with_the_library_and_the_command(body_file: str) -> None:
    headers = headers_of(run("sign", "--id", "evt_1", body_file))
    Webhook(SECRET).verify(BODY, headers, json_parse=False)
    assert verify(headers, body_file).exit_code == 0


def test_the_body_may_come_from_standard_input(body_file: str) -> None:
    at = str(int(time.time()))
    by_file = run("sign", "--id", "evt_1", "--timestamp", at, body_file)
    by_input = run("sign", "--id", "evt_1", "--timestamp", at, stdin=BODY)
    assert headers_of(by_file) == headers_of(by_input)


def test_ed25519_signs_with_the_private_and_verifies_with_the_public_key(body_file: str) -> None:
    private = generate_private_key(bytes(range(32)))
    headers = headers_of(run("sign", "--id", "evt_1", body_file, secret=private))
    assert headers["webhook-signature"].startswith("v1a,")
    assert verify(headers, body_file, secret=receiver_secret(private)).exit_code == 0
    assert verify(headers, body_file, secret=private).exit_code == 0
    assert verify(headers, body_file, secret=generate_private_key(bytes(32))).exit_code == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"webhook-id": "evt_2"}, "no v1 entry of webhook-signature matches"),
        ({"webhook-timestamp": "1700000000"}, "seconds in the past"),
        ({"webhook-timestamp": "soon"}, "not an integer"),
    ],
)
def test_a_refusal_says_why(body_file: str, change: dict[str, str], reason: str) -> None:
    headers = headers_of(run("sign", "--id", "evt_1", body_file))
    result = verify(headers | change, body_file)
    assert result.exit_code == 1
    assert reason in result.stderr
    assert SECRET not in result.output


@pytest.mark.parametrize(
    "loosely", [lambda text: text.rstrip("="), lambda text: text.replace("/", "_") + "\n"]
)
def test_a_non_canonical_secret_signs_and_verifies_like_the_canonical_one(
    body_file: str, loosely: Callable[[str], str]
) -> None:
    canonical = "whsec_" + base64.b64encode(b"\xff" * 25).decode()
    headers = headers_of(run("sign", "--id", "evt_1", body_file, secret=loosely(canonical)))
    Webhook(canonical).verify(BODY, headers)
    for secret in (canonical, loosely(canonical)):
        assert verify(headers, body_file, secret=secret).exit_code == 0


def test_an_old_signature_verifies_with_more_tolerance(body_file: str) -> None:
    headers = headers_of(run("sign", "--id", "evt_1", "--timestamp", "1700000000", body_file))
    assert verify(headers, body_file).exit_code == 1
    assert verify(headers, body_file, "--tolerance", "1e12").exit_code == 0


def test_invalid_secrets_and_files_are_reported_as_errors(body_file: str) -> None:
    assert isinstance(run("sign", "--id", "evt_1", body_file, secret="hunter2").exception, SecretFormError)
    assert isinstance(run("sign", "--id", "evt_1", "/nowhere").exception, BadRequestError)

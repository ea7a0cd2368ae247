"""Rotating the master key while everything runs."""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from notifier.cli.stack import all_in_one
from notifier.core.delivery.endpoint import Endpoint, SealedTarget
from notifier.core.model.ids import EndpointId
from notifier.errors import VersionConflictError
from notifier.runtime import Runtime, open_runtime
from notifier.store import Job, SecretBox, StoredAnswer, schema
from notifier.store.sealing import key_id_of
from tests.support.commands import Done, run_command
from tests.support.pipeline import SECRET, add_endpoint, numbered_event, quick_settings
from tests.support.processes import free_port
from tests.support.receiver import Receiver
from tests.support.worker import running_worker

OLD = "old:" + base64.b64encode(b"o" * 32).decode()
NEW = "new:" + base64.b64encode(b"n" * 32).decode()
BOTH = f"{NEW},{OLD}"


@asynccontextmanager
async def with_keys(redis_url: str, ring: str) -> AsyncIterator[Runtime]:
    async with open_runtime(quick_settings(redis_url, master_keys=ring)) as runtime:
        yield runtime


async def fill(redis_url: str, *paths: str) -> list[Endpoint]:
    """Seal the secrets of endpoints and a stored answer with the old key."""
    async with with_keys(redis_url, OLD) as runtime:
        answer = StoredAnswer(201, runtime.secrets.seal("an answer").encode(), "application/json")
        await runtime.store.idempotency.begin("key", "fingerprint")
        await runtime.store.idempotency.finish("key", "fingerprint", answer)
        await runtime.store.idempotency.begin("in flight", "fingerprint")
        return [await add_endpoint(runtime, Receiver(), path) for path in paths]


async def run(command: str, **settings: str) -> Done:
    """Run a command in a thread of this process; it has an event loop of its own."""
    return await asyncio.to_thread(run_command, command, **settings)


async def rotate(**settings: str) -> Done:
    return await run("rotate-master-key", **settings)


async def rotate_in_a_process(directory: Path, **settings: str) -> Done:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "notifier.cli", "rotate-master-key"),
        cwd=directory,
        env={f"NOTIFIER_{name}": value for name, value in settings.items()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, complaint = await process.communicate()
    assert process.returncode is not None
    return Done(process.returncode, printed.decode(), complaint.decode())


def contents(directory: Path) -> list[Path]:
    return list(directory.iterdir())


@pytest.mark.server
async def test_the_old_key_can_be_removed_afterwards(redis_url: str, tmp_path: Path) -> None:
    endpoints = await fill(redis_url, "/one", "/two")
    async with with_keys(redis_url, BOTH) as runtime:
        ttl = await runtime.store.database.redis.pttl(schema.IDEMPOTENCY("key"))
    done = await rotate_in_a_process(tmp_path, REDIS_URL=redis_url, MASTER_KEYS=BOTH)
    assert done.code == 0
    assert done.output.splitlines() == [
        "Encrypted with 'new': 2 endpoints, 1 stored answers.",
        "In use: 'new' (3)",
    ]
    async with with_keys(redis_url, NEW) as runtime:
        for endpoint in endpoints:
            after = await runtime.store.endpoints.get(endpoint.id)
            assert runtime.secrets.open(after.secrets[0].sealed) == SECRET
            assert replace(after, secrets=endpoint.secrets) == endpoint
        kept = await runtime.store.idempotency.begin("key", "fingerprint")
        assert kept is not None
        assert runtime.secrets.open(kept.body.decode()) == "an answer"
        assert 0 < await runtime.store.database.redis.pttl(schema.IDEMPOTENCY("key")) <= ttl


async def test_a_second_run_changes_nothing(redis_url: str) -> None:
    await fill(redis_url, "/one")
    await rotate(REDIS_URL=redis_url, MASTER_KEYS=BOTH)
    async with with_keys(redis_url, NEW) as runtime:
        before = await runtime.store.database.redis.get(schema.ENDPOINTS_GENERATION())
    done = await rotate(REDIS_URL=redis_url, MASTER_KEYS=NEW)
    assert done.code == 0
    assert "0 endpoints, 0 stored answers" in done.output
    async with with_keys(redis_url, NEW) as runtime:
        assert await runtime.store.database.redis.get(schema.ENDPOINTS_GENERATION()) == before


@pytest.mark.parametrize(
    ("ring", "named"),
    [(NEW, "keys that are missing: 'old' (2)"), (f"{NEW},old:" + "A" * 43 + "=", "'old'")],
)
async def test_a_missing_or_wrong_key_is_reported_in_one_line_and_changes_nothing(
    redis_url: str, ring: str, named: str
) -> None:
    (endpoint,) = await fill(redis_url, "/one")
    done = await rotate(REDIS_URL=redis_url, MASTER_KEYS=ring)
    assert (done.code, done.output) == (2, "")
    assert done.errors.startswith("space-notifier: NOTIFIER_MASTER_KEYS: ")
    assert done.errors.count("\n") == 1
    assert named in done.errors
    async with with_keys(redis_url, OLD) as runtime:
        assert await runtime.store.endpoints.get(endpoint.id) == endpoint


async def test_a_target_is_resealed_and_stays_the_same_destination(redis_url: str) -> None:
    (webhook,) = await fill(redis_url, "/one")
    async with with_keys(redis_url, BOTH) as runtime:
        old = SecretBox({"old": b"o" * 32})
        target = SealedTarget(old.seal('{"token": "t"}'), {"token": "…"}, 5.0)
        endpoint = replace(webhook, id=EndpointId("ep_" + "t" * 16), secrets=(), target=target)
        await runtime.store.endpoints.create(endpoint)
        await runtime.store.database.redis.hset(
            runtime.store.partitions.key(schema.STATE, endpoint.id), "failures", 3
        )
        assert (await runtime.store.resealing.in_use())["old"] == 3
        done = await runtime.store.resealing.reseal(runtime.secrets)
        after = await runtime.store.endpoints.get(endpoint.id)
        assert (await runtime.store.endpoints.health(endpoint.id)).consecutive_failures == 3
    assert after.target is not None
    assert done.in_use == {"new": 3}
    assert runtime.secrets.open(after.target.sealed) == '{"token": "t"}'
    assert replace(after, target=target) == endpoint


async def test_expired_secrets_and_public_halves_stay_with_their_endpoint(redis_url: str) -> None:
    (endpoint,) = await fill(redis_url, "/one")
    async with with_keys(redis_url, BOTH) as runtime:
        (secret,) = endpoint.secrets
        second = replace(secret, expires_at=1.0, public_key="whpk_x")
        await runtime.store.endpoints.save(replace(endpoint, secrets=(secret, second)), replacing=endpoint)
        done = await runtime.store.resealing.reseal(runtime.secrets)
        after = await runtime.store.endpoints.get(endpoint.id)
    assert [(each.expires_at, each.public_key) for each in after.secrets] == [(None, None), (1.0, "whpk_x")]
    assert {key_id_of(each.sealed) for each in after.secrets} == {"new"}
    assert done.in_use == {"new": 3}


async def test_a_concurrent_change_is_not_lost(redis_url: str) -> None:
    (endpoint,) = await fill(redis_url, "/one")
    async with with_keys(redis_url, BOTH) as runtime, with_keys(redis_url, BOTH) as another:
        save, changes = runtime.store.endpoints.save, iter(["a change"])

        async def interrupted(endpoint: Endpoint, *, replacing: Endpoint, **_more: bool) -> None:
            for description in changes:
                changed = replace(replacing, description=description)
                await another.store.endpoints.save(changed, replacing=replacing)
            await save(endpoint, replacing=replacing)

        runtime.store.endpoints.save = interrupted  # type: ignore[method-assign]  # replaces it
        done = await runtime.store.resealing.reseal(runtime.secrets)
        after = await runtime.store.endpoints.get(endpoint.id)
    assert (done.endpoints, done.left) == (1, 0)
    assert after.description == "a change"
    assert key_id_of(after.secrets[0].sealed) == "new"


async def test_an_endpoint_that_changes_all_the_time_is_left_and_reported(redis_url: str) -> None:
    await fill(redis_url, "/one")
    async with with_keys(redis_url, BOTH) as runtime:

        async def always_late(endpoint: Endpoint, *, replacing: Endpoint, **_more: bool) -> None:
            raise VersionConflictError(f"{endpoint.id} is no longer of {replacing.updated_at}")

        runtime.store.endpoints.save = always_late  # type: ignore[method-assign]  # replaces it
        done = await runtime.store.resealing.reseal(runtime.secrets)
    assert (done.endpoints, done.answers, done.left) == (0, 1, 1)
    assert done.in_use == {"old": 1, "new": 1}


async def test_deliveries_continue_during_the_rotation(redis_url: str) -> None:
    settings = quick_settings(redis_url, master_keys=BOTH)
    async with Receiver() as receiver:
        async with with_keys(redis_url, OLD) as runtime:
            await add_endpoint(runtime, receiver, "/hook", event_types=("*",))
        async with with_keys(redis_url, BOTH) as runtime, running_worker(settings):
            for number in range(30):
                await runtime.store.events.commit(numbered_event(number))
                await runtime.wakeup.ring(Job.DISPATCH)
                if number == 10:
                    done = await runtime.store.resealing.reseal(runtime.secrets)
                    assert done.in_use == {"new": 1}
            requests = await receiver.wait_for("/hook", 30)
    assert all(each.verified for each in requests)
    assert {int(each.json["data"]["details"]["message"].split()[1]) for each in requests} == set(range(30))


async def test_the_command_finds_the_server_of_up_whether_it_runs_or_not(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    async with all_in_one({"port": "0", "data_dir": data, "admin_key": "key", "master_keys": NEW}, workers=0):
        done = await rotate(MASTER_KEYS=NEW)
        assert done.code == 0
        assert "In use: none" in done.output
    done = await rotate(MASTER_KEYS=NEW)
    assert (done.code, done.errors) == (0, "")
    assert "In use: none" in done.output


@pytest.mark.parametrize(
    ("command", "message"), [("rotate-master-key", "In use: none"), ("doctor", "Nothing is")]
)
async def test_leftovers_of_a_killed_server_do_not_matter(tmp_path: Path, command: str, message: str) -> None:
    (tmp_path / "data" / "valkey").mkdir(parents=True)
    (tmp_path / "data" / "valkey" / "url").write_text(f"redis://:password@127.0.0.1:{free_port()}/0")
    done = await run(command, MASTER_KEYS=NEW)
    assert (done.code, done.errors) == (0, "")
    assert message in done.output


@pytest.mark.parametrize("command", ["rotate-master-key", "doctor"])
async def test_without_any_data_nothing_is_created(tmp_path: Path, command: str) -> None:
    done = await run(command)
    assert (done.code, done.output) == (2, "")
    assert "no `space-notifier up` has stored anything in data" in done.errors
    assert contents(tmp_path) == []

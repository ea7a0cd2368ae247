"""``/v1/endpoints`` with verification by a challenge."""

from __future__ import annotations

import pytest

from notifier.core.delivery.challenge import fault_of, settle
from notifier.core.delivery.endpoint import disabled
from notifier.core.delivery.outcome import Answer
from notifier.core.model.reasons import DisabledReason
from notifier.runtime import Runtime
from tests.support.admin_api import Client, add_endpoint, problem
from tests.support.api_runtime import clock_of, wakeups_of

PATH = "/v1/endpoints"
NOT_FOUND = Answer(404, None, None, 1.0)
NOW = "2023-11-14T22:13:20.000Z"
PENDING = {
    "status": "pending",
    "started_at": NOW,
    "tries": 0,
    "next_try_at": NOW,
    "last_failure": None,
    "passed_at": None,
}


async def answer(runtime: Runtime, endpoint_id: str, *, good: bool) -> None:
    """Record the answer of an endpoint's receiver to a challenge, without a worker."""
    before = await runtime.store.endpoints.get(endpoint_id)
    fault = None if good else fault_of(NOT_FOUND, "token", ())
    answered = Answer(200, None, None, 1.0) if good else NOT_FOUND
    after = settle(before, answered, fault, now=runtime.clock())
    await runtime.store.endpoints.save(after, replacing=before)


async def fail(runtime: Runtime, endpoint_id: str) -> None:
    for _ in range(5):
        await answer(runtime, endpoint_id, good=False)


async def test_verification_is_pending_until_a_challenge_is_answered(
    api_client: Client, api_runtime: Runtime
) -> None:
    created = await add_endpoint(api_client, verify="challenge")
    assert created["verification"] == PENDING
    assert created["status"] == "enabled"
    assert wakeups_of(api_runtime).jobs == ["challenge"]
    path = f"{PATH}/{created['id']}"
    assert "verif" in (await problem(await api_client.post(f"{path}/test"), 409))["detail"]
    await answer(api_runtime, created["id"], good=True)
    passed = (await (await api_client.get(path)).json())["verification"]
    assert passed == PENDING | {"status": "passed", "tries": 1, "next_try_at": None, "passed_at": NOW}
    assert (await api_client.post(f"{path}/test")).status == 202


async def test_verification_can_be_restarted(api_client: Client, api_runtime: Runtime) -> None:
    path = f"{PATH}/{(await add_endpoint(api_client, verify='challenge'))['id']}"
    await answer(api_runtime, path.rpartition("/")[2], good=True)
    response = await api_client.post(f"{path}/verify")
    assert response.status == 202
    assert (await response.json())["verification"] == PENDING
    assert wakeups_of(api_runtime).jobs == ["challenge", "challenge"]


async def test_a_failed_verification_disables_and_a_new_one_enables(
    api_client: Client, api_runtime: Runtime
) -> None:
    path = f"{PATH}/{(await add_endpoint(api_client, verify='challenge'))['id']}"
    await fail(api_runtime, path.rpartition("/")[2])
    failed = await (await api_client.get(path)).json()
    assert (failed["status"], failed["disabled_reason"], failed["disabled_at"]) == (
        "disabled",
        "not_verified",
        NOW,
    )
    assert failed["verification"]["status"] == "failed"
    assert "404" in failed["verification"]["last_failure"]
    again = await (await api_client.post(f"{path}/verify")).json()
    assert (again["status"], again["disabled_reason"], again["disabled_at"]) == ("enabled", None, None)
    assert again["verification"] == PENDING


@pytest.mark.parametrize("good", [True, False])
async def test_another_url_is_verified_again(api_client: Client, api_runtime: Runtime, *, good: bool) -> None:
    created = await add_endpoint(api_client, verify="challenge")
    path = f"{PATH}/{created['id']}"
    if good:
        await answer(api_runtime, created["id"], good=True)
    else:
        await fail(api_runtime, created["id"])
    same = await (await api_client.patch(path, json={"url": created["url"], "description": "x"})).json()
    assert same["verification"]["status"] == ("passed" if good else "failed")
    moved = await (await api_client.patch(path, json={"url": "https://example.org/"})).json()
    assert (moved["status"], moved["verification"]) == ("enabled", PENDING)


async def test_without_verification_another_url_is_used_at_once(api_client: Client) -> None:
    path = f"{PATH}/{(await add_endpoint(api_client))['id']}"
    moved = await (await api_client.patch(path, json={"url": "https://example.org/"})).json()
    assert moved["verification"] is None
    await problem(await api_client.post(f"{path}/verify"), 409)


async def test_enabling_does_not_bypass_verification(api_client: Client, api_runtime: Runtime) -> None:
    path = f"{PATH}/{(await add_endpoint(api_client, verify='challenge'))['id']}"
    held = await (await api_client.post(f"{path}/disable")).json()
    assert held["verification"] == PENDING | {"next_try_at": None}
    await problem(await api_client.post(f"{path}/verify"), 409)
    clock_of(api_runtime).now += 1
    enabled = await (await api_client.post(f"{path}/enable")).json()
    later = "2023-11-14T22:13:21.000Z"
    assert enabled["verification"] == PENDING | {"started_at": later, "next_try_at": later}


async def test_an_endpoint_disabled_for_another_reason_stays_disabled_at_another_url(
    api_client: Client, api_runtime: Runtime
) -> None:
    created = await add_endpoint(api_client, verify="challenge")
    endpoint = await api_runtime.store.endpoints.get(created["id"])
    gone = disabled(endpoint, DisabledReason.GONE, now=api_runtime.clock())
    await api_runtime.store.endpoints.save(gone, replacing=endpoint)
    body = {"url": "https://example.org/"}
    moved = await (await api_client.patch(f"{PATH}/{created['id']}", json=body)).json()
    assert (moved["status"], moved["disabled_reason"]) == ("disabled", "gone")


async def test_a_lost_wakeup_is_left_to_the_sweep(api_client: Client, api_runtime: Runtime) -> None:
    wakeups_of(api_runtime).lost = True
    created = await add_endpoint(api_client, verify="challenge")
    wakeups_of(api_runtime).lost = False
    assert "challenge" in await api_runtime.store.waiting_work(now=api_runtime.clock())
    await api_client.delete(f"{PATH}/{created['id']}")
    assert "challenge" not in await api_runtime.store.waiting_work(now=api_runtime.clock())

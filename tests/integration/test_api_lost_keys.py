"""``/v1/endpoints`` after the loss of a master key: the error names it, and rotation helps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from notifier.runtime import Runtime
from notifier.store import SecretBox
from tests.support.admin_api import KEY, Client, Serve, add_endpoint, problem

PATH = "/v1/endpoints"


@pytest.fixture
async def path(api_client: Client) -> str:
    """An endpoint whose secret is sealed with the key that will be lost."""
    return f"{PATH}/{(await add_endpoint(api_client))['id']}"


@pytest.fixture
async def keyless(serve: Serve, api_runtime: Runtime) -> Client:
    """A client of an API with another master key."""
    client = await serve(replace(api_runtime, secrets=SecretBox({"other": bytes(32)})))
    client.session.headers.update(KEY)
    return client


async def test_the_missing_key_is_named(path: str, keyless: Client) -> None:
    refusal = await problem(await keyless.get(f"{path}/secret"), 503)
    assert "NOTIFIER_MASTER_KEYS: the key 'test' is missing" in refusal["detail"]
    assert "rotate the secret" in refusal["detail"]


async def test_rotating_drops_secrets_that_cannot_be_decrypted(
    path: str, keyless: Client, api_runtime: Runtime
) -> None:
    response = await keyless.post(f"{path}/rotate-secret")
    rotated = await response.json()
    assert (response.status, rotated["previous_expires_at"]) == (200, None)
    assert (await (await keyless.get(f"{path}/secret")).json())["secret"] == rotated["secret"]
    stored = await api_runtime.store.endpoints.get(path.removeprefix(f"{PATH}/"))
    assert len(stored.secrets) == 1

"""``/v1/endpoints`` that sign with ed25519."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from notifier.core.delivery.signing import generate_private_key, generate_secret, receiver_secret
from notifier.runtime import Runtime
from notifier.store import schema
from tests.support.admin_api import Client, add_endpoint, problem, refused_fields

PATH = "/v1/endpoints"
URL = "https://example.com/hook"
OWN = generate_private_key(bytes(range(32)))
SEED_ALONE = "whsk_" + base64.b64encode(bytes(range(32))).decode()
OTHERS_HALF = "whsk_" + base64.b64encode(bytes(range(32)) + bytes(32)).decode()


async def test_the_public_key_is_always_shown_and_the_private_key_only_on_request(
    api_client: Client, api_runtime: Runtime
) -> None:
    created = await add_endpoint(api_client, signing="ed25519")
    secret = created.pop("secret")
    assert created["public_key"] == receiver_secret(secret)
    one = await api_client.get(f"{PATH}/{created['id']}")
    assert await one.json() == created
    assert secret not in await one.text() + await (await api_client.get(PATH)).text()
    shown = await (await api_client.get(f"{PATH}/{created['id']}/secret")).json()
    assert shown == {"secret": secret, "public_key": created["public_key"]}
    stored = await api_runtime.store.database.redis.get(schema.ENDPOINT(created["id"]))
    assert secret not in stored


@pytest.mark.parametrize("own", [OWN, SEED_ALONE])
async def test_a_key_of_the_callers_own_is_accepted(api_client: Client, own: str) -> None:
    created = await add_endpoint(api_client, signing="ed25519", secret=own)
    assert (created["secret"], created["public_key"]) == (own, receiver_secret(OWN))


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ({"signing": "ed25519", "secret": generate_secret(bytes(32))}, "signing with ed25519 needs a whsk_"),
        ({"signing": "ed25519", "secret": receiver_secret(OWN)}, "signing with ed25519 needs a whsk_"),
        ({"signing": "ed25519", "secret": "whsk_AAAA"}, "32-byte seed"),
        ({"signing": "ed25519", "secret": "whsk_?"}, "is not base64"),
        ({"signing": "ed25519", "secret": OTHERS_HALF}, "does not belong to its seed"),
        ({"signing": "hmac", "secret": OWN}, "signing with hmac needs a whsec_"),
        ({"secret": "whsec_" + base64.b64encode(bytes(65)).decode()}, "24 to 64 bytes; these are 65"),
        ({"secret": "whsec_" + "A" * 33}, "is not base64"),
    ],
)
async def test_a_bad_secret_is_refused_with_the_rule_and_not_shown(
    api_client: Client, body: dict[str, Any], rule: str
) -> None:
    document = await problem(await api_client.post(PATH, json={"url": URL, **body}), 422)
    assert [error["loc"] for error in document["errors"]] == [["body", "secret"]]
    assert rule in document["errors"][0]["msg"]
    assert body["secret"] not in str(document)


async def test_a_secret_is_kept_in_its_canonical_spelling(api_client: Client) -> None:
    """Receivers' libraries decode base64 more strictly than people write it."""
    canonical = "whsec_" + base64.b64encode(b"\xfb\xff" * 12 + b"\x01").decode()
    loose = canonical.rstrip("=").replace("+", "-").replace("/", "_")
    created = await add_endpoint(api_client, secret=loose)
    path = f"{PATH}/{created['id']}"
    shown = await (await api_client.get(f"{path}/secret")).json()
    assert created["secret"] == shown["secret"] == canonical
    again = await api_client.post(f"{path}/rotate-secret", json={"secret": loose})
    assert await refused_fields(again) == {"body.secret"}  # it is the same key
    other = base64.urlsafe_b64encode(b"\xfe" * 25).decode()
    rotated = await api_client.post(f"{path}/rotate-secret", json={"secret": "whsec_" + other.rstrip("=")})
    assert (await rotated.json())["secret"] == "whsec_" + base64.b64encode(b"\xfe" * 25).decode()


async def test_a_pair_of_keys_is_kept_in_its_canonical_spelling(api_client: Client) -> None:
    created = await add_endpoint(api_client, signing="ed25519", secret=SEED_ALONE.rstrip("="))
    assert (created["secret"], created["public_key"]) == (SEED_ALONE, receiver_secret(OWN))


async def test_a_rotation_keeps_the_signing_scheme(api_client: Client, api_runtime: Runtime) -> None:
    created = await add_endpoint(api_client, signing="ed25519", secret=OWN)
    path = f"{PATH}/{created['id']}/rotate-secret"
    hmac = await api_client.post(path, json={"secret": generate_secret(bytes(32))})
    assert await refused_fields(hmac) == {"body.secret"}
    same = await api_client.post(path, json={"secret": SEED_ALONE})
    assert await refused_fields(same) == {"body.secret"}
    rotated = await (await api_client.post(path, json={"grace_seconds": 60})).json()
    assert rotated["public_key"] == receiver_secret(rotated["secret"]) != created["public_key"]
    shown = await (await api_client.get(f"{PATH}/{created['id']}")).json()
    assert shown["public_key"] == rotated["public_key"]
    stored = await api_runtime.store.endpoints.get(created["id"])
    assert [(each.public_key, each.expires_at) for each in stored.secrets] == [
        (rotated["public_key"], None),
        (created["public_key"], api_runtime.clock() + 60),
    ]


async def test_verification_with_ed25519_is_refused(api_client: Client) -> None:
    body = {"url": URL, "signing": "ed25519", "verify": "challenge"}
    document = await problem(await api_client.post(PATH, json=body), 422)
    assert document["errors"][0]["loc"] == ["body", "verify"]
    assert '"signing": "hmac"' in document["errors"][0]["msg"]

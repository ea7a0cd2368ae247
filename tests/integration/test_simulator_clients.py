"""Independent clients can read the stand-in: tweepy the old contract, xdk the new one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pydantic
import pytest
import requests
import tweepy
import xdk
from requests.adapters import HTTPAdapter

from notifier.simulator import Contract, Limits, create_simulator, load_scenario

if TYPE_CHECKING:
    from pytest_aiohttp.plugin import AiohttpServer

START = datetime(2021, 7, 6, 18, 40, 40, tzinfo=UTC).timestamp()
MAIN, UNPLANNED, CALLED_OFF = "1OdJrXWaPVPGX", "1YqKDqWqdPLsV", "1zqKVXPQhvZJB"
TITLE = "What is new in the API 🎙️ with your questions"
EVERYTHING = ["creator_id", "host_ids", "invited_user_ids", "speaker_ids", "topic_ids"]

Serve = Callable[..., Awaitable[str]]


class Redirected(HTTPAdapter):
    """Redirects requests for X's fixed host to the stand-in."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._base_url = base_url

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        assert request.url is not None
        request.url = request.url.replace("https://api.twitter.com", self._base_url)
        return super().send(request, *args, **kwargs)


@pytest.fixture
def serve(aiohttp_server: AiohttpServer) -> Serve:
    async def start(contract: Contract, offset: float, limits: Limits | None = None) -> str:
        app = create_simulator(
            load_scenario("demo"),
            contract=contract,
            clock=lambda: START + offset,
            started_at=START,
            limits=limits or Limits(),
        )
        return str((await aiohttp_server(app)).make_url("")).rstrip("/")

    return start


@contextmanager
def tweepy_client(base_url: str) -> Iterator[tweepy.Client]:
    client = tweepy.Client(bearer_token="token")
    client.session.trust_env = False
    client.session.mount("https://api.twitter.com", Redirected(base_url))
    try:
        yield client
    finally:
        client.session.close()


@contextmanager
def xdk_client(base_url: str) -> Iterator[xdk.Client]:
    client = xdk.Client(base_url=base_url, bearer_token="token")
    client.session.trust_env = False
    try:
        yield client
    finally:
        client.session.close()


async def test_tweepy_reads_spaces_with_every_field_it_knows(serve: Serve) -> None:
    base_url = await serve(Contract.LEGACY, offset=70.0)

    def ask() -> tweepy.Response:
        with tweepy_client(base_url) as client:
            return client.get_spaces(
                ids=[MAIN, "nothere"],
                space_fields=tweepy.space.SPACE_FIELDS,
                expansions=EVERYTHING,
                user_fields=["username", "verified"],
            )

    answer = await asyncio.to_thread(ask)
    (space,) = answer.data
    assert (space.id, space.state, space.title, space.lang) == (MAIN, "live", TITLE, "en")
    assert space.started_at == datetime(2021, 7, 6, 18, 41, 30, tzinfo=UTC)
    assert space.scheduled_start == datetime(2021, 7, 6, 18, 41, 30, tzinfo=UTC)
    assert space.created_at == datetime(2021, 7, 6, 18, 40, 48, tzinfo=UTC)
    assert space.speaker_ids == ["2244994945", "3100000025", "3100000033", "3100000041"]
    assert (space.participant_count, space.subscriber_count, space.is_ticketed) == (77, 31, False)
    assert answer.includes["users"][0].username == "TwitterDev"
    assert [error["resource_id"] for error in answer.errors] == ["nothere"]


async def test_tweepy_reads_one_space_creators_search_and_users(serve: Serve) -> None:
    base_url = await serve(Contract.LEGACY, offset=40.0)

    def ask() -> list[tweepy.Response]:
        with tweepy_client(base_url) as client:
            return [
                client.get_space(UNPLANNED, space_fields=["host_ids"]),
                client.get_spaces(user_ids=[2244994945, 3100000017]),
                client.search_spaces("api QUESTIONS", state="scheduled", max_results=10),
                client.get_users(usernames=["twitterdev", "nobody"]),
            ]

    one, by_creator, found, people = await asyncio.to_thread(ask)
    assert one.data.host_ids == ["6253282"]
    assert [space.id for space in by_creator.data] == [MAIN, CALLED_OFF]
    assert by_creator.meta == {"result_count": 2}
    assert [space.id for space in found.data] == [MAIN]
    assert [user.id for user in people.data] == [2244994945]
    assert people.errors[0]["value"] == "nobody"


async def test_tweepy_understands_refusals(serve: Serve) -> None:
    base_url = await serve(Contract.LEGACY, offset=40.0, limits=Limits(requests=1))

    def ask() -> tuple[list[str], int | None]:
        with tweepy_client(base_url) as client:
            with pytest.raises(tweepy.BadRequest) as bad:
                client.get_space(MAIN, space_fields=["created_athost_ids"])
            with pytest.raises(tweepy.TooManyRequests) as limited:
                client.get_space(MAIN)
            return bad.value.api_messages, limited.value.reset_time

    messages, reset_time = await asyncio.to_thread(ask)
    assert "[created_athost_ids] is not one of [created_at,creator_id," in messages[0]
    assert reset_time == int(START) + 40 + 900


async def test_xdk_reads_spaces_and_their_problems(serve: Serve) -> None:
    base_url = await serve(Contract.CURRENT, offset=70.0)

    def ask() -> Any:
        with xdk_client(base_url) as client:
            return client.spaces.get_by_ids(
                ids=[MAIN, "nothere"],
                space_fields=["title", "started_at", "participant_count", "state"],
                expansions=EVERYTHING,
                user_fields=["username"],
            )

    answer = await asyncio.to_thread(ask)
    (space,) = answer.data
    assert (space.id, space.state, space.title) == (MAIN, "live", TITLE)
    assert space.started_at == "2021-07-06T18:41:30.000Z"
    assert list(space.speaker_ids) == ["2244994945", "3100000025", "3100000033", "3100000041"]
    assert answer.includes.users[0].username == "TwitterDev"
    (problem,) = answer.errors
    assert type(problem).__name__ == "ResourceNotFoundProblem"
    assert problem.resource_id == "nothere"


async def test_xdk_reads_one_space_creators_search_and_users(serve: Serve) -> None:
    base_url = await serve(Contract.CURRENT, offset=40.0)

    def ask() -> list[Any]:
        with xdk_client(base_url) as client:
            return [
                client.spaces.get_by_id(UNPLANNED, expansions=["host_ids"]),
                client.spaces.get_by_creator_ids(user_ids=["2244994945", "3100000017"]),
                client.spaces.search("api QUESTIONS", state="scheduled", max_results=10),
                client.users.get_by_usernames(usernames=["twitterdev", "nobody"]),
            ]

    one, by_creator, found, people = await asyncio.to_thread(ask)
    assert list(one.data.host_ids) == ["6253282"]
    assert [space.id for space in by_creator.data] == [MAIN, CALLED_OFF]
    assert by_creator.meta.result_count == 2
    assert [space.id for space in found.data] == [MAIN]
    assert [user.id for user in people.data] == ["2244994945"]
    assert people.errors[0].value == "nobody"


async def test_xdk_cannot_read_the_problems_of_the_old_contract(serve: Serve) -> None:
    base_url = await serve(Contract.LEGACY, offset=40.0)

    def ask() -> None:
        with xdk_client(base_url) as client, pytest.raises(pydantic.ValidationError):
            client.spaces.get_by_ids(ids=["nothere"])

    await asyncio.to_thread(ask)

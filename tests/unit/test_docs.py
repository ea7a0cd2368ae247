"""The documents match the code: names, defaults, paths, commands and examples."""

from __future__ import annotations

import ast
import json
import re
import time
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import typer
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from examples import poll_events, webhook_receiver
from notifier.cli import app
from notifier.config import Settings
from notifier.config.pages import env_example, settings_page, variable
from notifier.config.settings import GROUPS
from notifier.core.delivery.challenge import challenge_body, respond
from notifier.core.delivery.signing import parse_signing_key, sign
from notifier.core.events.event import EventType
from notifier.core.model.ids import EndpointId
from notifier.server import DESCRIBED
from notifier.store.watches import MAX_LISTED_SPACES
from workers import deliver
from workers.settings import GRACE_SECONDS

ROOT: Final = Path(__file__).parents[2]
README: Final = (ROOT / "README.md").read_text()
ARCHITECTURE: Final = (ROOT / "docs" / "architecture.md").read_text()
PAGES: Final = {
    str(path.relative_to(ROOT)): path.read_text() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
}
NOT_SETTINGS: Final = {"NOTIFIER_TEST_REDIS_SERVER", "NOTIFIER_WEBHOOK_SECRET"}
SECRET: Final = "whsec_dHJ5aW5nIG91dCBzcGFjZS1ub3RpZmllcg=="
BODY: Final = b'{"type":"space.started","data":{"space":{"id":"1zqKVXPQhvZJB","title":"Hello"}}}'

ROUTES: Final = {
    re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) for path in (each.path for each in DESCRIBED)
} | {r"/openapi\.json"}

each_page: Final = pytest.mark.parametrize("page", PAGES)


FIGURES: Final = {
    "docs/architecture.md": (
        f"up to {deliver.WINDOW} attempts in flight",
        f"more than {deliver.SLOW_SECONDS:g} s only waits",
        f"up to {deliver.LARGEST_WINDOW} in all",
        f"no longer than {deliver.GATHER_SECONDS * 1000:g} ms",
        f"does not end within {GRACE_SECONDS} s",
    ),
    "docs/api.md": (f"the newest {MAX_LISTED_SPACES}",),
    "docs/operating.md": (f"get {GRACE_SECONDS} seconds to end",),
    "docs/settings.md": (f"above {GRACE_SECONDS}, a worker that stops",),
}
"""Sentences that state a constant of the code, and must change with it."""


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def shell_lines() -> Iterator[tuple[str, str]]:
    for name, page in PAGES.items():
        for block in blocks(page, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                yield name, line.partition("  #")[0]


def section(page: str, title: str) -> str:
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def sources(*patterns: str) -> Iterator[str]:
    return (path.read_text() for pattern in patterns for path in ROOT.glob(pattern))


def table_rows(page: str, first_cell: str) -> list[list[str]]:
    rows = re.findall(rf"^\| `({first_cell})` \|(.*)\|$", page, re.MULTILINE)
    return [[name, *(cell.strip() for cell in rest.split("|"))] for name, rest in rows]


def variables() -> set[str]:
    return {variable(name) for name in Settings.model_fields}


def headers(body: bytes, *, event_id: str = "evt_1", secret: str = SECRET) -> dict[str, str]:
    now = int(time.time())
    signature = sign([parse_signing_key(secret)], event_id, now, body)
    return {"webhook-id": event_id, "webhook-timestamp": str(now), "webhook-signature": signature}


class TestSettings:
    def test_the_pages_are_written_from_the_descriptions(self) -> None:
        """`make settings` writes both."""
        assert PAGES["docs/settings.md"] == settings_page()
        assert (ROOT / ".env.example").read_text() == env_example()

    def test_every_setting_is_described_in_one_group(self) -> None:
        names = [name for group in GROUPS for name in group.model_fields]
        assert sorted(names) == sorted(Settings.model_fields)
        assert [name for name, field in Settings.model_fields.items() if not field.description] == []

    @each_page
    def test_no_page_mentions_unknown_settings(self, page: str) -> None:
        named = set(re.findall(r"NOTIFIER_[A-Z_]+[A-Z]", PAGES[page]))
        assert named <= {*variables(), *NOT_SETTINGS}


class TestNames:
    def test_every_event_type_is_listed_in_order(self) -> None:
        listed = [
            name
            for name, _ in table_rows(
                PAGES["docs/events.md"], r"(?:space|watch|source|endpoint|webhook)\.[a-z_]+"
            )
        ]
        assert listed == list(EventType)

    def test_the_changelog_names_every_event_type(self) -> None:
        assert [each for each in EventType if f"`{each}`" not in PAGES["CHANGELOG.md"]] == []

    @each_page
    def test_every_mentioned_file_exists(self, page: str) -> None:
        named = re.findall(r"`((?:\.?[\w-]+/)+(?:[\w.-]+\.\w+)?)`", PAGES[page])
        inside = [path for path in named if (ROOT / path.split("/")[0]).is_dir()]
        assert [path for path in inside if not (ROOT / path).exists() and path != "data/"] == []

    @each_page
    def test_every_link_resolves(self, page: str) -> None:
        for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
            if target.startswith("https://"):
                continue
            path, _, anchor = target.partition("#")
            linked = (ROOT / page).parent / path if path else ROOT / page
            assert linked.exists(), target
            if anchor:
                titles = re.findall(r"^#+ (.+)$", linked.read_text(), re.MULTILINE)
                assert anchor in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}

    @each_page
    def test_paths_are_the_products_own(self, page: str) -> None:
        """A path on one particular machine means nothing to a reader."""
        absolute = re.findall(r"(?<![\w.)}>/…\]*])/([a-zA-Z0-9_.-]+)/", PAGES[page])
        assert set(absolute) <= {"v1", "2", "hooks", "problems", "_simulator", "i", "usr", "calendar"}

    def test_the_documented_packages_match_the_import_rules(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
        written = re.findall(r"^    ((?:notifier|workers)[\w. |]+?)(?: {3,}.*)?$", ARCHITECTURE, re.MULTILINE)
        assert written == layers

    def test_the_code_refers_to_sections_that_exist(self) -> None:
        referred = {
            title
            for source in sources("notifier/**/*.py", "notifier/**/*.lua", "workers/*.py")
            for title in re.findall(r'docs/architecture\.md, "([^"]+)"', source)
        }
        assert referred
        assert referred <= set(re.findall(r"^## (.+)$", ARCHITECTURE, re.MULTILINE))


class TestFigures:
    @pytest.mark.parametrize("page", FIGURES)
    def test_a_page_states_the_figures_of_the_code(self, page: str) -> None:
        text = " ".join(PAGES[page].split())
        assert [sentence for sentence in FIGURES[page] if sentence not in text] == []


class TestWhatIsMissing:
    """The README's list of missing features names nothing that exists."""

    missing = section(README, "What it does not do yet")

    def test_paths(self) -> None:
        named = set(re.findall(r"`(/[\w/-]+)`", self.missing))
        assert named
        # Compared literally: the route of a single event would match any last part, also "stream".
        assert named & {each.path for each in DESCRIBED} == set()

    def test_every_setting_has_an_effect(self) -> None:
        code = "".join(sources("notifier/**/*.py", "workers/*.py"))
        assert [name for name in Settings.model_fields if f".{name}" not in code] == []


class TestCommands:
    @each_page
    def test_every_documented_api_path_exists(self, page: str) -> None:
        paths = re.findall(r"(?:\$API|GET |POST |PATCH |DELETE )(/[\w./${}-]+)", PAGES[page])
        ours = [path for path in paths if not path.startswith(("/2/", "/_simulator/"))]
        unknown = [path for path in ours if not any(re.fullmatch(route, path) for route in ROUTES)]
        assert unknown == []

    def test_every_documented_command_exists(self) -> None:
        group = typer.main.get_command(app)
        commands = set(getattr(group, "commands", {}))
        used = {
            (page, command)
            for page, line in shell_lines()
            for command in re.findall(r"space-notifier ([a-z-]+)", line)
            if "git clone" not in line
        }
        assert used
        assert {(page, command) for page, command in used if command not in commands} == set()

    def test_every_documented_make_target_exists(self) -> None:
        targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        used = {target for _, line in shell_lines() for target in re.findall(r"\bmake ([a-z]+)", line)}
        assert used
        assert used <= targets

    @each_page
    def test_every_json_block_parses(self, page: str) -> None:
        for block in blocks(PAGES[page], "json"):
            json.loads(block)
        for body in re.findall(r"-d '(\{.*?\})'$", PAGES[page], re.MULTILINE | re.DOTALL):
            json.loads(body.replace("'$name'", "name"))

    @each_page
    def test_every_python_block_parses(self, page: str) -> None:
        for block in blocks(PAGES[page], "python"):
            ast.parse(block)


def test_the_receiver_in_the_readme_verifies() -> None:
    (block,) = blocks(README, "python")
    names: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), names)  # noqa: S102  the code that readers copy
    assert names["receive"](BODY, headers(BODY)) == 204
    assert names["receive"](BODY + b" ", headers(BODY)) == 401
    assert names["receive"](BODY, headers(BODY) | {"webhook-signature": "nonsense"}) == 401


Client = TestClient[web.Request, web.Application]


async def test_the_example_receiver_accepts_each_event_once_and_nothing_unsigned(
    aiohttp_client: Callable[[web.Application], Awaitable[Client]], capsys: pytest.CaptureFixture[str]
) -> None:
    client = await aiohttp_client(webhook_receiver.create_app(SECRET))
    statuses = [
        (await client.post(webhook_receiver.PATH, data=BODY, headers=sent)).status
        for sent in (
            headers(BODY),
            headers(BODY),
            headers(BODY, event_id="evt_2"),
            headers(BODY, event_id="evt_3") | {"webhook-id": "evt_4"},
            headers(BODY) | {"webhook-signature": "nonsense"},
            {},
        )
    ]
    assert statuses == [204, 204, 204, 401, 401, 401]
    assert capsys.readouterr().out.splitlines() == ["space.started 1zqKVXPQhvZJB Hello"] * 2


async def test_the_example_receiver_answers_signed_challenges(
    aiohttp_client: Callable[[web.Application], Awaitable[Client]], capsys: pytest.CaptureFixture[str]
) -> None:
    client = await aiohttp_client(webhook_receiver.create_app(SECRET))
    body = challenge_body(EndpointId("ep_1"), challenge_id="chl_1", token="a-token", now=0.0)
    answer = await client.post(webhook_receiver.PATH, data=body, headers=headers(body, event_id="chl_1"))
    assert await answer.json() == {"response": respond(SECRET, "a-token")}
    assert (await client.post(webhook_receiver.PATH, data=body, headers=headers(b""))).status == 401
    assert capsys.readouterr().out == ""


async def test_the_polling_example_continues_where_the_previous_page_ended(
    aiohttp_server: Callable[[web.Application], Awaitable[TestServer]],
) -> None:
    asked = []

    async def list_events(request: web.Request) -> web.Response:
        asked.append(request.query["after"])
        return web.json_response({"data": [{"id": "evt_1"}], "next_cursor": str(len(asked))})

    log = web.Application()
    log.router.add_get("/v1/events", list_events)
    server = await aiohttp_server(log)
    async with TestClient(server) as client:
        url = str(server.make_url("")).rstrip("/")
        cursors = []
        async for _, cursor in poll_events.pages(client.session, url, "0"):
            cursors.append(cursor)
            if len(cursors) == 3:
                break
    assert asked == ["0", "1", "2"]
    assert cursors == ["1", "2", "3"]

"""The admin API in a terminal: what the commands for watches, endpoints, events and deliveries share."""
# ruff: noqa: PLC0415 - the help of these commands needs none of what a call needs

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, TypeAlias

import typer

from notifier.cli.console import fail, output, printable
from notifier.errors import UnavailableError

Record: TypeAlias = dict[str, Any]
Columns: TypeAlias = Sequence[str]

Limit: TypeAlias = Annotated[int, typer.Option(help="How many, 1 to 250.")]
Cursor: TypeAlias = Annotated[str | None, typer.Option(help="The next_cursor of the previous page.")]

ApiUrl: TypeAlias = Annotated[
    str | None, typer.Option("--url", help="The URL of the API; by default, from the settings here.")
]
ApiKey: TypeAlias = Annotated[
    str | None, typer.Option("--key", envvar="NOTIFIER_ADMIN_KEY", help="The admin key.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON.")]


@dataclass(frozen=True, slots=True)
class AdminApi:
    """The API of one installation, and how to show what it answers."""

    url: str
    key: str
    as_json: bool

    def get(self, path: str, **query: object) -> Record:
        """Return a record or a page; parameters that are None are left out."""
        return self._call("GET", path, query=query)

    def post(self, path: str, body: Mapping[str, object] | None = None) -> Record:
        """Create a record or start an action."""
        return self._call("POST", path, body=body)

    def patch(self, path: str, body: Mapping[str, object]) -> Record:
        """Change a record."""
        return self._call("PATCH", path, body=body)

    def delete(self, path: str) -> None:
        """Remove a record."""
        self._call("DELETE", path)

    def show_page(self, page: Record, columns: Columns, *, next_by: str = "--cursor") -> None:
        """Print a page as a table of ``columns``; dots in their names access nested objects.

        ``next_by`` is the option that takes the next cursor.
        """
        if self.as_json:
            _print_json(page)
            return
        from rich import box
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            # Folded, never cut: ids are meant to be copied.
            table.add_column(column.rpartition(".")[2], overflow="fold", no_wrap=False)
        for record in page["data"]:
            table.add_row(*(_cell(_at(record, column)) for column in columns))
        console = output()
        console.print(table)
        if page.get("next_cursor"):
            console.print(f"More: {next_by} {printable(page['next_cursor'])}", markup=False, soft_wrap=True)

    def show(self, record: Record) -> None:
        """Print one record, one field per line."""
        if self.as_json:
            _print_json(record)
            return
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in record.items():
            table.add_row(name, _cell(value))
        output().print(table)

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Record:
        import asyncio

        from notifier.cli.admin_call import Refusal, call

        given = {name: str(value) for name, value in (query or {}).items() if value is not None}
        try:
            answer = asyncio.run(call(method, self.url + path, self.key, query=given, body=body))
        except UnavailableError as error:
            fail(f"{self.url} does not answer ({error.message}); is `space-notifier up` running?")
        if isinstance(answer, Refusal):
            fail(str(answer))
        return answer


def admin_command(group: typer.Typer, name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add a function as a command with the shared options ``--url``, ``--key`` and ``--json``.

    The function takes the API as its first argument; typer sees its other parameters and the shared ones.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        _, *own = inspect.signature(function, eval_str=True).parameters.values()
        shared = inspect.signature(_connect, eval_str=True).parameters.values()

        @wraps(function)
        def command(**options: Any) -> None:  # noqa: ANN401  typer has read them by the signature below
            api = _connect(**{parameter.name: options.pop(parameter.name) for parameter in shared})
            function(api, **options)

        command.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]  # read by typer
        return group.command(name)(command)

    return register


def quoted(record_id: str) -> str:
    """Return any id as one segment of a path."""
    from urllib.parse import quote

    return quote(record_id, safe="")


def given(**fields: object) -> Record:
    """Return the fields that were set: neither None nor empty."""
    return {name: value for name, value in fields.items() if value not in (None, [], {})}


def flat(record: Record) -> Record:
    """Return a record with the fields of nested objects under names like ``money.spent_usd``."""
    flat: Record = {}
    for name, value in record.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{inner}": each for inner, each in value.items()}
        else:
            flat[name] = value
    return flat


def _connect(*, api_url: ApiUrl = None, api_key: ApiKey = None, as_json: AsJson = False) -> AdminApi:
    """Return the API to use; these parameters are options of every command."""
    from notifier.config import load_settings

    if api_url is None or api_key is None:
        settings = load_settings()
        api_url = api_url or settings.base_url
        api_key = api_key or (settings.admin_key.get_secret_value() if settings.admin_key else None)
    if api_key is None:
        fail("--key or NOTIFIER_ADMIN_KEY is required; the first `space-notifier up` printed the key")
    return AdminApi(api_url.rstrip("/"), api_key, as_json)


def _print_json(document: Record) -> None:
    typer.echo(json.dumps(document, indent=2))


def _at(record: Record, path: str) -> object:
    value: object = record
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _cell(value: object) -> str:
    """Return a value as a table cell; rich markup in it is escaped."""
    from rich.markup import escape

    if value is None or value in ([], {}):
        return "-"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        text = " ".join(value)
    elif isinstance(value, str):
        text = value
    else:
        text = json.dumps(value, ensure_ascii=False)
    return escape(printable(text))

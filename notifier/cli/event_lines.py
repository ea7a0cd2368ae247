"""An event as one line for people; its body may come from anyone, so nothing about its form is assumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from rich.text import Text

from notifier.cli.console import printable

CLOUDEVENTS_PREFIX: Final = "com.x."
TYPE_WIDTH: Final = 20
MAX_TEXT: Final = 60
MINUTE: Final = 60
MAX_SECONDS: Final = 1e10

Data: TypeAlias = Mapping[str, Any]

STYLES: Final[Mapping[str, str]] = {
    "space.started": "bold green",
    "space.ended": "bold",
    "space.canceled": "bold yellow",
    "space.corrected": "bold magenta",
}


def event_line(body: Mapping[str, Any] | None) -> Text:
    """Return type, sequence, title and the main details of an event's body, in either format."""
    if body is None:
        return Text("(not a JSON object)", style="red")
    event_type = _text(body.get("type")).removeprefix(CLOUDEVENTS_PREFIX) or "(no type)"
    data = _mapping(body.get("data"))
    line = Text(f"{event_type:<{TYPE_WIDTH}}", style=STYLES.get(event_type, "cyan"))
    if "sequence" in data:
        line.append(f"  #{_text(data['sequence']):<3}", style="dim")
    subject = _subject(data)
    if subject:
        line.append(f"  {subject}", style="default")
    facts = "; ".join(fact for fact in _FACTS.get(event_type, _plain_facts)(data) if fact)
    if facts:
        line.append(f"  {facts}", style="dim")
    return line


def duration(seconds: object) -> str:
    """Return seconds as ``42 s`` or ``1 h 05 min``; empty if it is not a number."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not abs(seconds) < MAX_SECONDS:
        return ""
    if abs(seconds) < 2 * MINUTE:
        return f"{seconds:.3g} s"
    hours, minutes = divmod(round(abs(seconds) / MINUTE), MINUTE)
    sign = "-" if seconds < 0 else ""
    return sign + (f"{hours} h {minutes:02} min" if hours else f"{minutes} min")


def _subject(data: Data) -> str:
    """Return the title of the Space, else its id, else the message of a test."""
    space = _mapping(data.get("space"))
    title = _text(space.get("title"))
    return f"“{title}”" if title else _text(space.get("id")) or _text(_details(data).get("message"))


def _rescheduled(data: Data) -> tuple[str, ...]:
    delta = _details(data).get("delta_seconds")
    start = _text(_mapping(data.get("space")).get("scheduled_start"))
    by = duration(delta)
    direction = "earlier by" if by.startswith("-") else "later by"
    return (f"{direction} {by.removeprefix('-')}" if by else "", f"to {start}" if start else "")


def _scheduled(data: Data) -> tuple[str, ...]:
    start = _text(_mapping(data.get("space")).get("scheduled_start"))
    return (f"for {start}" if start else "",)


def _started(data: Data) -> tuple[str, ...]:
    details = _details(data)
    if details.get("unscheduled") is True:
        return ("unscheduled",)
    late = duration(details.get("late_by_seconds"))
    if late.startswith("-"):
        return (f"{late.removeprefix('-')} early",)
    return (f"{late} late" if late != "0 s" else "on time",) if late else ()


def _ended(data: Data) -> tuple[str, ...]:
    details = _details(data)
    lasted, peak = duration(details.get("duration_seconds")), _text(details.get("peak_participant_count"))
    return (
        f"lasted {lasted}" if lasted else "",
        f"up to {peak} people" if peak else "",
        "inferred" if data.get("inferred") is True else "",
    )


def _canceled(data: Data) -> tuple[str, ...]:
    return (_text(_details(data).get("reason")),)


def _title_changed(data: Data) -> tuple[str, ...]:
    former = _text(_mapping(data.get("previous")).get("title"))
    return (f"was “{former}”" if former else "",)


def _people_changed(data: Data) -> tuple[str, ...]:
    details = _details(data)
    total = _text(details.get("total"))
    added, removed = (_count(details.get(name)) for name in ("added", "removed"))
    return (
        f"+{added}" if added else "",
        f"-{removed}" if removed else "",
        f"{total} in all" if total else "",
    )


def _plain_facts(data: Data) -> tuple[str, ...]:
    """Return the names of the changed fields."""
    changed = data.get("changed")
    return (", ".join(_text(name) for name in changed) if isinstance(changed, list) else "",)


_FACTS: Final[Mapping[str, Callable[[Data], tuple[str, ...]]]] = {
    "space.scheduled": _scheduled,
    "space.rescheduled": _rescheduled,
    "space.started": _started,
    "space.ended": _ended,
    "space.canceled": _canceled,
    "space.title_changed": _title_changed,
    "space.hosts_changed": _people_changed,
    "space.speakers_added": _people_changed,
}


def _details(data: Data) -> Data:
    return _mapping(data.get("details"))


def _mapping(value: object) -> Data:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int:
    return len(value) if isinstance(value, list) else 0


def _text(value: object) -> str:
    """Return a scalar as text, shortened and safe for a terminal; empty for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = printable(str(value))
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"

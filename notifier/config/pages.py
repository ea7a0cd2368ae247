"""Generates docs/settings.md and .env.example from the descriptions of the settings.

``python -m notifier.config.pages`` writes both in the working directory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic_settings import BaseSettings

from notifier.config.settings import ENV_PREFIX, GROUPS

INTRODUCTION: Final = """\
# Settings

Settings are read at the start, from environment variables or from `.env` in the working directory
([.env.example](../.env.example) lists them all); environment variables take precedence. Seconds may be
fractions. A bad value stops the start with one line that names the variable. An empty default means that the
setting is not set.

This page is written by `make settings` from the descriptions in `notifier/config/settings.py`.
"""

EXAMPLE: Final = """\
# Copy to .env and remove the # in front of what you change. The values here are the defaults;
# docs/settings.md describes each of them. Environment variables win over this file.
"""


def settings_page() -> str:
    """Return the text of docs/settings.md: a table for each group."""
    return "\n".join([INTRODUCTION, *_tables()])


def env_example() -> str:
    """Return the text of .env.example: every setting with its default, commented out."""
    lines = [EXAMPLE]
    for group in GROUPS:
        lines.append(f"# --- {_heading(group)}")
        lines += [f"#{variable(name)}={shown(field.default)}" for name, field in group.model_fields.items()]
        lines.append("")
    return "\n".join(lines)


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return ENV_PREFIX + name.upper()


def shown(default: Any) -> str:  # noqa: ANN401  the default of any setting
    """Return a default as it is written in the environment."""
    if default is None:
        return ""
    if isinstance(default, tuple):
        return ",".join(map(shown, default))
    return str(default).lower() if isinstance(default, bool) else str(default)


def _heading(group: type[BaseSettings]) -> str:
    return (group.__doc__ or "").removesuffix(".")


def _tables() -> Iterator[str]:
    for group in GROUPS:
        yield f"## {_heading(group)}\n\n| setting | default | meaning |\n|---|---|---|"
        for name, field in group.model_fields.items():
            default = f"`{shown(field.default)}`" if shown(field.default) else ""
            yield f"| `{variable(name)}` | {default} | {field.description} |"
        yield ""


if __name__ == "__main__":
    Path("docs/settings.md").write_text(settings_page())
    Path(".env.example").write_text(env_example())

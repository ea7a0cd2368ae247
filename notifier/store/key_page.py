"""docs/keys.md, written from the rows of the schema.

``python -m notifier.store.key_page`` writes it into the working directory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from notifier.store import schema
from notifier.store.schema import ROWS, Domain

INTRODUCTION: Final = f"""\
# Keys in Redis

Every key, its type, and whether it expires by itself; layout version {schema.VERSION}, which
`sn:{{d}}:schema` keeps. What is permanent is bounded by what it counts, or trimmed by the housekeeping.
The hash tag says whose a key is ([architecture.md](architecture.md#two-domains)): all of a tag are on
one node of a cluster, and a script touches keys of one tag only. Scores are epoch milliseconds where
they are times, and serial numbers where they are an order.

This page is written by `make keys` from `notifier/store/schema.py`.
"""

HEADINGS: Final = {
    Domain.DECIDING: "The deciding side",
    Domain.DELIVERING: "The delivering side, for each partition",
}


def key_page() -> str:
    """Return the text of docs/keys.md: a table for each domain."""
    return "\n".join([INTRODUCTION, *_tables()])


def _tables() -> Iterator[str]:
    for domain, heading in HEADINGS.items():
        yield f"## {heading}\n\n| key | type | life | holds |\n|---|---|---|---|"
        for row in ROWS.values():
            if row.domain is domain:
                holds = row.holds.replace("<", "&lt;").replace("->", "→")
                yield f"| `{row.shown}` | {row.type} | {row.life} | {holds} |"
        yield ""


if __name__ == "__main__":
    Path("docs/keys.md").write_text(key_page())

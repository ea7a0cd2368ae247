"""The table of kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from notifier.core.delivery.endpoint import KindName
from notifier.core.delivery.kinds.kind import Kind
from notifier.core.delivery.kinds.webhook import WEBHOOK

Kinds: TypeAlias = Mapping[KindName, Kind[Any]]


def table_of(*kinds: Kind[Any]) -> Kinds:
    """Return a table of kinds by their names."""
    return {kind.name: kind for kind in kinds}


KINDS: Final = table_of(WEBHOOK)
"""Every kind of this version."""

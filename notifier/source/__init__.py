"""Where observations come from: the client for X's API and its request budget."""

from __future__ import annotations

from notifier.source.client import BATCH, XClient
from notifier.source.origin import origin_of

__all__ = ["BATCH", "XClient", "origin_of"]

"""Findings about the server itself."""

from __future__ import annotations

from notifier.store.concerns import Severity, concerns_of
from notifier.store.database import Database
from notifier.store.doctor.finding import Finding
from notifier.store.server import Server


async def examine_server(database: Database) -> list[Finding]:
    """Return what loses data as things are; risks, which may be meant so, are no findings."""
    state = await Server(database).read()
    return [
        Finding(concern.name, concern.text, concern.remedy)
        for concern in concerns_of(state)
        if concern.severity is Severity.FAULT
    ]

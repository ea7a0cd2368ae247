"""The workers under arq's own command line."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from notifier.runtime import open_runtime
from tests.support.pipeline import MASTER_KEY, add_endpoint, numbered_event, quick_settings
from tests.support.receiver import Receiver

pytestmark = [pytest.mark.server, pytest.mark.no_cover]


async def test_arq_runs_the_workers_by_their_settings_class(redis_url: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NOTIFIER_")} | {
        "NOTIFIER_REDIS_URL": redis_url,
        "NOTIFIER_MASTER_KEYS": MASTER_KEY,
        "NOTIFIER_ALLOW_HTTP": "true",
        "NOTIFIER_ALLOWED_NETWORKS": "127.0.0.0/8",
    }
    async with Receiver() as receiver, open_runtime(quick_settings(redis_url)) as runtime:
        await add_endpoint(runtime, receiver, "/hook", event_types=("*",))
        with (tmp_path / "arq.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                Path(sys.executable).with_name("arq"),
                "workers.settings.WorkerSettings",
                cwd=tmp_path,
                env=environment,
                stdout=log,
                stderr=log,
            )
        try:
            await runtime.store.events.commit(numbered_event(1))
            (got,) = await receiver.wait_for("/hook", 1, timeout=20)
            assert got.verified
            process.terminate()
            async with asyncio.timeout(25):
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

"""The files for containers and monitoring match the product."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from notifier.cli import app
from notifier.config import ENV_PREFIX, Settings
from notifier.metrics import METRICS, Histogram

ROOT = Path(__file__).parents[2]
SETTINGS = {ENV_PREFIX + name.upper() for name in Settings.model_fields}
NAMES = re.compile(r"NOTIFIER_[A-Z_]+")
SERIES = re.compile(r"notifier_[a-z_]+")


def load(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return document


def known_series() -> set[str]:
    histograms = {name for name, metric in METRICS.items() if isinstance(metric, Histogram)}
    parts = {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
    return (METRICS.keys() - histograms) | parts


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    services: dict[str, Any] = load("docker-compose.yml")["services"]
    return services


def test_the_services(services: dict[str, Any]) -> None:
    assert set(services) == {"redis", "api", "worker", "prometheus", "grafana"}
    monitoring = {name for name, service in services.items() if service.get("profiles") == ["monitoring"]}
    assert monitoring == {"prometheus", "grafana"}


def test_redis_persists_its_data(services: dict[str, Any]) -> None:
    command = " ".join(services["redis"]["command"])
    for option in ("--appendonly yes", "--appendfsync everysec", "--maxmemory-policy noeviction"):
        assert option in command
    assert services["redis"]["volumes"]


def test_workers_can_be_scaled(services: dict[str, Any]) -> None:
    assert "container_name" not in services["worker"]
    assert "ports" not in services["worker"]


def test_the_commands_exist(services: dict[str, Any]) -> None:
    for name in ("api", "worker"):
        assert CliRunner().invoke(app, [*services[name]["command"], "--help"]).exit_code == 0
    command = re.search(r"^CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert command is not None
    assert CliRunner().invoke(app, [*json.loads(command[1]), "--help"]).exit_code == 0


@pytest.mark.parametrize("name", ["docker-compose.yml", "Dockerfile"])
def test_the_settings_exist(name: str) -> None:
    named = set(NAMES.findall((ROOT / name).read_text()))
    assert named
    assert named <= SETTINGS


def test_the_api_is_reachable_on_its_port(services: dict[str, Any]) -> None:
    port = services["api"]["environment"]["NOTIFIER_PORT"]
    assert services["api"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    (job,) = load("deploy/prometheus.yml")["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"api:{port}"]}]
    assert job.get("metrics_path", "/metrics") == "/metrics"


def test_volumes_are_declared_and_files_exist(services: dict[str, Any]) -> None:
    declared = load("docker-compose.yml")["volumes"]
    for service in services.values():
        for source in (volume.split(":")[0] for volume in service.get("volumes", ())):
            assert (ROOT / source).exists() if source.startswith(".") else source in declared


def test_the_image_does_not_run_as_root() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^USER (\S+)$", dockerfile, re.MULTILINE) == ["notifier"]
    assert "HEALTHCHECK" in dockerfile
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE):
        for path in source.split():
            assert (ROOT / path).exists()
            assert f"!{path}\n" in (ROOT / ".dockerignore").read_text()


def test_the_dashboard_uses_existing_metrics(services: dict[str, Any]) -> None:
    dashboard = json.loads((ROOT / "deploy/grafana/dashboards/space-notifier.json").read_text())
    shown = {
        series
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for series in SERIES.findall(target["expr"])
    }
    assert shown
    assert shown <= known_series()
    (source,) = load("deploy/grafana/provisioning/datasources/prometheus.yml")["datasources"]
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {source["uid"]}
    (provider,) = load("deploy/grafana/provisioning/dashboards/space-notifier.yml")["providers"]
    mounted = [volume.split(":")[1] for volume in services["grafana"]["volumes"]]
    assert provider["options"]["path"] in mounted


def test_the_documents_name_only_metrics_that_exist() -> None:
    pages = [page.read_text() for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))]
    named = {series for page in pages for series in SERIES.findall(page)}
    assert named
    assert named <= known_series()

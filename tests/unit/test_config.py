"""Settings: what is read, what is refused, and that no secret is ever shown."""

from __future__ import annotations

import base64
from ipaddress import ip_network
from pathlib import Path

import pytest

from notifier.config import Settings, load_settings
from notifier.errors import ConfigError

KEY = base64.b64encode(bytes(range(32))).decode()
SECRET = "hush-4711"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"NOTIFIER_{name.upper()}", raising=False)


def refusal(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> str:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert "\n" not in caught.value.message
    assert caught.value.__context__ is None
    return caught.value.message


def test_defaults_are_those_of_the_contract() -> None:
    settings = load_settings()
    assert settings.redis_url is None
    assert settings.data_dir == Path("data")
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.base_url == "http://127.0.0.1:8080"
    assert settings.x_api_url == "https://api.x.com"
    assert settings.retry_schedule_seconds == (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
    assert (settings.request_timeout_seconds, settings.lease_seconds) == (15, 8)
    assert settings.allowed_networks == ()
    assert settings.daily_budget_usd is None
    assert settings.x_expanded_users_billed is True
    assert settings.master_key_ring == ()


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "REDIS_URL": "redis+sentinel://one:26379,two:26379/mymaster",
        "PUBLIC_URL": "https://notify.example/",
        "RETRY_SCHEDULE_SECONDS": "0.5, 1,2.25",
        "ALLOWED_NETWORKS": "10.1.2.3/8, fd00::/8,127.0.0.1",
        "ALLOW_HTTP": "true",
        "POLL_LIVE_SECONDS": "0.25",
        "LOG_LEVEL": "debug",
        "ADMIN_KEY": f"{SECRET}\n",
        "DAILY_BUDGET_USD": "",
    }.items():
        monkeypatch.setenv(f"NOTIFIER_{name}", value)
    settings = load_settings()
    assert settings.base_url == "https://notify.example"
    assert settings.retry_schedule_seconds == (0.5, 1, 2.25)
    assert settings.allowed_networks == tuple(map(ip_network, ("10.0.0.0/8", "fd00::/8", "127.0.0.1/32")))
    assert settings.allow_http is True
    assert settings.poll_live_seconds == 0.25
    assert settings.log_level == "DEBUG"
    assert settings.admin_key is not None
    assert settings.admin_key.get_secret_value() == SECRET
    assert settings.daily_budget_usd is None


def test_a_dotenv_file_is_read_and_may_hold_other_names(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("NOTIFIER_PORT=9999\nOTHER=1\n", encoding="utf-8")
    assert load_settings().port == 9999


def test_a_binary_dotenv_file_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfeN\x00")
    with pytest.raises(ConfigError, match=r"^\.env: "):
        load_settings()


def test_overrides_win_and_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFIER_PORT", "1")
    assert load_settings(port=0).port == 0
    with pytest.raises(ConfigError, match=r"^NOTIFIER_PORT: "):
        load_settings(port=65_536)


def test_an_ipv6_host_is_bracketed_in_the_url() -> None:
    assert load_settings(host="::1", port=1).base_url == "http://[::1]:1"


def test_master_keys_are_read_in_order_in_both_base64_alphabets() -> None:
    other = b"\xfb\xff" * 16
    opened = load_settings(
        master_keys=f"new:{base64.urlsafe_b64encode(other).decode()}, old:{KEY}"
    ).master_key_ring
    assert opened == (("new", other), ("old", bytes(range(32))))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "http://localhost:6379"),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "redis://"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "eighty"),
        ("PUBLIC_URL", "notify.example"),
        ("X_API_URL", "ftp://api.x.com"),
        ("X_API_URL", "https://"),
        ("X_API_URL", "https://host:notaport"),
        ("X_API_URL", "https://api x.com"),
        ("POLL_NEAR_SECONDS", "0"),
        ("POLL_NEAR_SECONDS", "-1"),
        ("POLL_NEAR_SECONDS", "nan"),
        ("POLL_NEAR_SECONDS", "inf"),
        ("POLL_NEAR_SECONDS", "soon"),
        ("CONFIRMATIONS", "0"),
        ("CONFIRMATIONS", "1.5"),
        ("REMINDER_MINUTES", "0"),
        ("DAILY_BUDGET_USD", "inf"),
        ("RETRY_SCHEDULE_SECONDS", "5,,x"),
        ("RETRY_SCHEDULE_SECONDS", "5,-1"),
        ("RETRY_SCHEDULE_SECONDS", ","),
        ("LEASE_SECONDS", "2.9"),
        ("ALLOW_HTTP", "perhaps"),
        ("ALLOWED_NETWORKS", "10.0.0.0/33"),
        ("RETENTION_DAYS", "0"),
        ("DELIVERY_PARTITIONS", "0"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_bad_value_is_refused_in_one_line_that_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    line = refusal(monkeypatch, f"NOTIFIER_{name}", value)
    assert line.startswith(f"NOTIFIER_{name}: ")
    assert "https://errors.pydantic" not in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ADMIN_KEY", f"{SECRET} {SECRET}"),
        ("X_BEARER_TOKEN", f"{SECRET}\r\nx: y"),
        ("X_BEARER_TOKEN", f"{SECRET}é"),
        ("MASTER_KEYS", SECRET),
        ("MASTER_KEYS", f"a:{SECRET}"),
        ("MASTER_KEYS", f"a:{base64.b64encode(SECRET.encode()).decode()}"),
        ("MASTER_KEYS", f"a:{KEY},a:{KEY}"),
        ("OUTBOUND_PROXY", f"socks4://user:{SECRET}@proxy:1080"),
        ("OUTBOUND_PROXY", f"socks://user:{SECRET}@proxy:1080"),
        ("OUTBOUND_PROXY", f"user:{SECRET}@proxy:1080"),
        ("OUTBOUND_PROXY", f"socks5://user:{SECRET}@:1080"),
        ("OUTBOUND_PROXY", f"socks5://user:{SECRET}@proxy:0"),
        ("OUTBOUND_PROXY", f"socks5h://user:{SECRET}@proxy:1080/path"),
        ("OUTBOUND_PROXY", f"socks5://{SECRET}@proxy:1080"),
        ("OUTBOUND_PROXY", f"socks5://:{SECRET}@proxy:1080"),
        ("OUTBOUND_PROXY", f"socks5://user:{SECRET}%C3%A9@proxy:1080"),
        ("OUTBOUND_PROXY", f"socks5://{'u' * 256}:{SECRET}@proxy:1080"),
        ("OUTBOUND_PROXY", f"socks5://user:{SECRET * 50}@proxy:1080"),
        ("REDIS_URL", f"amqp://:{SECRET}@host"),
        ("X_API_URL", f"https://user:{SECRET}@api.x.com"),
        ("X_API_URL", f"https://api.x.com/?token={SECRET}"),
        ("X_PROXY", f"socks5://user:{SECRET}@proxy:1080"),
        ("X_PROXY", f"user:{SECRET}@proxy:3128"),
        ("X_PROXY", f"http://user:{SECRET}@:3128"),
        ("X_PROXY", f"http://user:{SECRET}@proxy:0"),
        ("X_PROXY", f"http://user:{SECRET}@proxy:99999"),
        ("X_PROXY", f"http://user:{SECRET}@proxy:3128/path"),
        ("X_PROXY", f"http://user:{SECRET}@proxy:3128?query"),
        ("X_PROXY", f"http://us%3Aer:{SECRET}@proxy:3128"),
        ("X_PROXY", f"http://user:{SECRET}%E2%82%AC@proxy:3128"),
    ],
)
def test_a_bad_secret_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    line = refusal(monkeypatch, f"NOTIFIER_{name}", value)
    assert line.startswith(f"NOTIFIER_{name}: ")
    assert SECRET not in line
    assert KEY not in line


@pytest.mark.parametrize(
    "value",
    [
        "https://api.x.com/2",
        "https://api.x.com/2/",
        "https://api.x.com/2/spaces",
        "https://api.x.com//",
        "https://api.x.com?",
        "https://api.x.com?a=b",
        "https://api.x.com/?a=b",
        "https://api.x.com#",
        "https://api.x.com/#top",
        "https://user@api.x.com",
        "https://@api.x.com",
        "https://api.x.com\\2",
    ],
)
def test_an_address_of_x_with_anything_behind_the_host_is_refused_with_how_to_fix_it(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    assert refusal(monkeypatch, "NOTIFIER_X_API_URL", value) == (
        "NOTIFIER_X_API_URL: must be only scheme and host, like https://api.x.com, without a path like /2"
    )


@pytest.mark.parametrize(
    "value", ["https://api.x.com", "https://api.x.com/", "http://[::1]:8081", "http://x:1/"]
)
def test_an_address_of_x_is_a_scheme_and_a_host(value: str) -> None:
    assert load_settings(x_api_url=value).x_api_url == value.rstrip("/")


@pytest.mark.parametrize("name", ["OUTBOUND_PROXY", "X_PROXY", "X_API_URL", "PUBLIC_URL"])
@pytest.mark.parametrize("host", ["[fe80::1%eth0]", "[::1%25lo]:3128"])
def test_a_zone_in_an_address_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, host: str) -> None:
    line = refusal(monkeypatch, f"NOTIFIER_{name}", f"http://{host}")
    assert line.startswith(f"NOTIFIER_{name}: ")
    assert "without a zone" in line


def test_a_zone_in_an_allowed_network_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would never match, since dialled addresses have no zone."""
    line = refusal(monkeypatch, "NOTIFIER_ALLOWED_NETWORKS", "10.0.0.0/8,fe80::%eth0/10")
    assert "'fe80::%eth0/10' names a zone" in line


@pytest.mark.parametrize(
    "value",
    [
        "http://proxy:3128/path",
        "http://proxy:3128?x",
        "http://a%3Ab:c@proxy",
        "socks5://proxy:1080/path",
        "socks5h://proxy:1080?x",
    ],
)
def test_an_outbound_proxy_is_only_an_address(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert "must be only the address of a proxy" in refusal(monkeypatch, "NOTIFIER_OUTBOUND_PROXY", value)


@pytest.mark.parametrize(
    "value",
    [
        "http://proxy:3128",
        "https://user:p%40ss@proxy.example/",
        "http://user:%C3%A9@proxy",
        "http://:token@proxy:3128",
        "socks5://proxy",
        "socks5h://proxy.example:1080/",
        "SOCKS5://us%3Aer:p%40ss@[::1]:9050",
        f"socks5://{'u' * 255}:{'p' * 255}@proxy:1080",
    ],
)
def test_an_outbound_proxy_speaks_http_or_socks5(value: str) -> None:
    proxy = load_settings(outbound_proxy=value).outbound_proxy
    assert proxy is not None
    assert proxy.get_secret_value() == value.rstrip("/")


def test_an_outbound_proxy_that_speaks_anything_else_is_refused_with_how_to_fix_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert refusal(monkeypatch, "NOTIFIER_OUTBOUND_PROXY", "socks4://proxy:1080") == (
        "NOTIFIER_OUTBOUND_PROXY: must be an http://, https://, socks5:// or socks5h:// URL with a host, and "
        "an IPv6 address without a zone"
    )


def test_credentials_that_socks5_cannot_carry_are_refused_with_how_to_fix_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert refusal(monkeypatch, "NOTIFIER_OUTBOUND_PROXY", "socks5://user@proxy:1080") == (
        "NOTIFIER_OUTBOUND_PROXY: must hold both a user and a password, each of up to 255 ASCII characters, "
        "or neither"
    )


@pytest.mark.parametrize(
    "value", ["http://proxy:3128", "https://user:p%40ss@proxy.example/", "http://[::1]:1"]
)
def test_a_proxy_for_x_may_have_a_user_and_a_password(value: str) -> None:
    proxy = load_settings(x_proxy=value).x_proxy
    assert proxy is not None
    assert proxy.get_secret_value() == value.rstrip("/")


def test_a_lease_does_not_depend_on_the_request_timeout() -> None:
    settings = load_settings(request_timeout_seconds=600, lease_seconds=3)
    assert (settings.request_timeout_seconds, settings.lease_seconds) == (600, 3)


def test_every_bad_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFIER_PORT", "x")
    line = refusal(monkeypatch, "NOTIFIER_CONFIRMATIONS", "x")
    assert "NOTIFIER_PORT: " in line
    assert "NOTIFIER_CONFIRMATIONS: " in line


def test_secrets_are_not_in_the_repr() -> None:
    settings = load_settings(
        admin_key=SECRET,
        x_bearer_token=SECRET,
        master_keys=f"a:{KEY}",
        redis_url=f"redis://:{SECRET}@host",
        outbound_proxy=f"socks5://user:{SECRET}@proxy:1080",
        x_proxy=f"http://user:{SECRET}@proxy:3128",
    )
    assert SECRET not in repr(settings)
    assert KEY not in repr(settings)

"""Settings: read once at the start from ``NOTIFIER_*`` variables and ``.env``, checked, and then frozen.

Nothing here runs at import. A process calls :func:`load_settings` and passes the result down.
"""

import base64
import binascii
import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from notifier.core.delivery.retry import DEFAULT_SCHEDULE
from notifier.errors import ConfigError
from notifier.redis_url import read_redis_url

ENV_PREFIX: Final = "NOTIFIER_"
MAX_SECONDS: Final = 366 * 86_400
MASTER_KEY_BYTES: Final = 32
MIN_LEASE_SECONDS: Final = 3.0
"""A shorter lease would run out whenever a busy machine lets its worker wait for a moment."""

KEY_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,32}")
Network: TypeAlias = IPv4Network | IPv6Network


def _split(raw: object) -> object:
    """Read a comma list; what is no text (an override, a default) passes as it is."""
    return tuple(item for part in raw.split(",") if (item := part.strip())) if isinstance(raw, str) else raw


def _web_url(raw: str) -> str:
    try:
        parts = urlsplit(raw)
        has_host = bool(parts.hostname) and not any(map(str.isspace, parts.netloc))
        has_zone = "[" in parts.netloc and "%" in (parts.hostname or "")  # means nothing in a URL
        usable = parts.scheme in ("http", "https") and has_host and not has_zone and parts.port != 0
    except ValueError:  # a port that is no number, a bracket left open
        usable = False
    if not usable:
        raise ValueError("must be an http:// or https:// URL with a host, and an IPv6 address without a zone")
    return raw.rstrip("/")


def _api_url(raw: str) -> str:
    """Take an address that has a scheme and a host and nothing more: what follows is written by us."""
    address, rest = _web_url(raw), raw.partition("://")[2]
    if any(character in rest.removesuffix("/") for character in "/?#@\\"):
        raise ValueError("must be only scheme and host, like https://api.x.com; leave out the rest, as /2")
    return address


def _proxy_url(raw: SecretStr) -> SecretStr:
    """Take the address of a proxy with its user and password, percent-encoded where they are unusual."""
    value = _web_url(raw.get_secret_value())
    parts = urlsplit(value)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    can_be_sent = ":" not in user and all(character <= "\xff" for character in user + password)
    if parts.path or parts.query or parts.fragment or not can_be_sent:
        raise ValueError("must be a proxy's address like http://user:password@proxy.example:3128 and no more")
    return SecretStr(value)


def _redis_url(raw: str) -> str:
    read_redis_url(raw)
    return raw


def _header_safe(raw: SecretStr) -> SecretStr:
    """Refuse what cannot stand in an Authorization header; space around the key comes from files."""
    value = raw.get_secret_value().strip()
    if not value or not all("!" <= character <= "~" for character in value):
        raise ValueError("must be printable ASCII characters without spaces")
    return SecretStr(value)


def _networks(raw: object) -> object:
    if not isinstance(raw, tuple | list):
        return raw
    networks = []
    for item in raw:
        try:
            network = ip_network(item, strict=False)
        except ValueError:
            raise ValueError(f"{item!r} is no network; write CIDRs like 10.0.0.0/8,fd00::/8") from None
        if "%" in str(network):
            raise ValueError(f"{item!r} names a zone; write the network without it, like fe80::/10")
        networks.append(network)
    return tuple(networks)


def _read_master_keys(raw: str) -> tuple[tuple[str, bytes], ...]:
    ring: dict[str, bytes] = {}
    for position, entry in enumerate(raw.split(","), start=1):
        key_id, separator, encoded = entry.strip().partition(":")
        if not separator or not KEY_ID.fullmatch(key_id) or key_id in ring:
            raise ValueError(
                f"entry {position} must be id:base64 with an id of its own (letters, digits, _.-)"
            )
        try:
            key = base64.b64decode(encoded.strip().translate(str.maketrans("-_", "+/")), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != MASTER_KEY_BYTES:
            raise ValueError(f"entry {position} must hold 32 bytes as base64 (openssl rand -base64 32)")
        ring[key_id] = key
    return tuple(ring.items())


def _master_keys(raw: SecretStr) -> SecretStr:
    _read_master_keys(raw.get_secret_value())
    return raw


Seconds: TypeAlias = Annotated[float, Field(gt=0, le=MAX_SECONDS, allow_inf_nan=False)]
WebUrl: TypeAlias = Annotated[str, AfterValidator(_web_url)]
ApiUrl: TypeAlias = Annotated[str, AfterValidator(_api_url)]
HeaderSecret: TypeAlias = Annotated[SecretStr, AfterValidator(_header_safe)]


class Settings(BaseSettings):
    """Every setting of the product; attribute names are the variables' names without the prefix, lower-case.

    An empty variable counts as unset. Seconds may be fractions.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        str_strip_whitespace=True,
    )

    redis_url: Annotated[str, AfterValidator(_redis_url)] | None = Field(None, repr=False)
    data_dir: Path = Path("data")
    host: str = Field("127.0.0.1", min_length=1)
    port: int = Field(8080, ge=0, le=65_535)
    public_url: WebUrl | None = None
    admin_key: HeaderSecret | None = None
    master_keys: Annotated[SecretStr, AfterValidator(_master_keys)] | None = None

    x_bearer_token: HeaderSecret | None = None
    x_api_url: ApiUrl = "https://api.x.com"
    x_proxy: Annotated[SecretStr, AfterValidator(_proxy_url)] | None = None
    poll_discovery_seconds: Seconds = 60
    poll_near_seconds: Seconds = 10
    poll_live_seconds: Seconds = 30
    poll_scheduled_seconds: Seconds = 600
    near_window_seconds: Seconds = 600
    confirmations: int = Field(2, ge=1, le=100)
    confirm_seconds: Seconds = 30
    reminder_minutes: float = Field(15, gt=0, le=MAX_SECONDS / 60, allow_inf_nan=False)
    overdue_seconds: Seconds = 600
    daily_budget_usd: float | None = Field(None, gt=0, allow_inf_nan=False)
    x_expanded_users_billed: bool = True

    retry_schedule_seconds: Annotated[
        tuple[Seconds, ...], NoDecode, BeforeValidator(_split), Field(min_length=1)
    ] = DEFAULT_SCHEDULE.delays
    request_timeout_seconds: Seconds = 15
    lease_seconds: Seconds = Field(8, ge=MIN_LEASE_SECONDS)
    allow_http: bool = False
    allowed_networks: Annotated[
        tuple[Network, ...], NoDecode, BeforeValidator(_networks), BeforeValidator(_split)
    ] = ()
    outbound_proxy: Annotated[SecretStr, AfterValidator(_proxy_url)] | None = None
    retention_days: float = Field(30, gt=0, le=3660, allow_inf_nan=False)
    delivery_partitions: int = Field(4, ge=1, le=1024)

    log_format: Literal["console", "json"] = "console"
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
        BeforeValidator(lambda raw: raw.strip().upper() if isinstance(raw, str) else raw),
    ] = "INFO"

    @property
    def base_url(self) -> str:
        """Where users reach us: ``public_url``, or the address that we listen on."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{host}:{self.port}"

    @property
    def master_key_ring(self) -> tuple[tuple[str, bytes], ...]:
        """The master keys as (id, 32 bytes), the encrypting one first; empty where none is set."""
        return _read_master_keys(self.master_keys.get_secret_value()) if self.master_keys else ()


def load_settings(**overrides: Any) -> Settings:  # noqa: ANN401  pydantic checks each by its field
    """Read and check the settings; ``overrides`` (attribute names) win over the environment and ``.env``.

    Raises:
        ConfigError: A value is bad. The message is one line that names each variable and says what would be
            accepted, and never shows a secret.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False)
    except (UnicodeDecodeError, OSError) as error:
        raise ConfigError(f".env: cannot be read as UTF-8 text ({type(error).__name__})") from None
    # Raised outside the handler: the original error, with its input, is no context of this one.
    raise ConfigError("; ".join(dict.fromkeys(_line(detail) for detail in details)))


def _line(detail: ErrorDetails) -> str:
    variable = ENV_PREFIX + str(detail["loc"][0]).upper()
    text = detail["msg"].removeprefix("Value error, ").replace("Input should", "should")
    return f"{variable}: {text}"

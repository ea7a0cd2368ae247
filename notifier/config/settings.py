"""Every setting: its name, type, default and description.

The descriptions are Markdown; ``make settings`` generates docs/settings.md and .env.example from them.
"""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from notifier.config.values import (
    MAX_SECONDS,
    AnyProxyUrl,
    ApiUrl,
    HeaderSecret,
    MasterKeys,
    Networks,
    ProxyUrl,
    RedisUrl,
    Schedule,
    Seconds,
    UpperCase,
    WebUrl,
    read_master_keys,
)
from notifier.core.delivery.retry import DEFAULT_SCHEDULE

ENV_PREFIX: Final = "NOTIFIER_"
MIN_LEASE_SECONDS: Final = 3.0
"""A shorter lease would expire whenever a busy machine delays its worker for a moment."""


class ProcessSettings(BaseSettings):
    """Redis and the process."""

    redis_url: RedisUrl | None = Field(
        None,
        repr=False,
        description="`redis://`, `rediss://`, `unix://`, `redis+sentinel://` or `rediss+sentinel://` "
        "([operating.md](operating.md#the-url)). If it is not set, `up` runs an embedded "
        "server",
    )
    data_dir: Path = Field(
        Path("data"),
        description="Where the embedded server keeps its data, and `master.key` if `NOTIFIER_MASTER_KEYS` "
        "is not set",
    )
    host: str = Field("127.0.0.1", min_length=1, description="The address the API listens on")
    port: int = Field(8080, ge=0, le=65_535, description="The port the API listens on; 0 takes a free one")
    public_url: WebUrl | None = Field(
        None,
        description="The URL at which users reach the API, if it differs; logs, commands and CloudEvents "
        "show it",
    )
    log_format: Literal["console", "json"] = Field("console", description="`console` or `json`")
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], UpperCase] = Field(
        "INFO", description="`DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`"
    )


class KeySettings(BaseSettings):
    """Keys."""

    admin_key: HeaderSecret | None = Field(
        None,
        description="The admin key of the API, for instance from `openssl rand -hex 32`. If it is not set, "
        "the first start creates one, prints it once and stores its hash",
    )
    master_keys: MasterKeys | None = Field(
        None,
        description="`id:base64,id:base64`, each 32 bytes from `openssl rand -base64 32`. Signing secrets "
        "are encrypted with the first and decrypted with any of them "
        "([rotation](operating.md#master-keys))",
    )


class XSettings(BaseSettings):
    """Watching X."""

    x_bearer_token: HeaderSecret | None = Field(
        None, description="Bearer token of an app with access to X's API v2; without it nothing is observed"
    )
    x_api_url: ApiUrl = Field(
        "https://api.x.com", description="Scheme and host of X's API; tests set the address of the stand-in"
    )
    x_proxy: ProxyUrl | None = Field(
        None,
        description="`http://` or `https://` proxy for requests to X, with percent-encoded user and "
        "password if it needs them",
    )
    poll_discovery_seconds: Seconds = Field(
        60, description="Seconds between two polls of a creator's or a search's list of Spaces"
    )
    poll_near_seconds: Seconds = Field(10, description="The same for a Space that is about to start")
    poll_live_seconds: Seconds = Field(30, description="The same for a live Space")
    poll_scheduled_seconds: Seconds = Field(600, description="The same for a Space scheduled for later")
    near_window_seconds: Seconds = Field(
        600, description="How long before its scheduled start a Space counts as about to start"
    )
    confirmations: int = Field(
        2,
        ge=1,
        le=100,
        description="How often a doubtful claim (not found, ended without a time) has to be seen",
    )
    confirm_seconds: Seconds = Field(30, description="The minimum time between two of these sightings")
    reminder_minutes: float = Field(
        15,
        gt=0,
        le=MAX_SECONDS / 60,
        allow_inf_nan=False,
        description="How many minutes before its scheduled start `space.reminder` is sent",
    )
    overdue_seconds: Seconds = Field(
        600,
        description="Seconds after its scheduled start at which `space.start_overdue` is sent",
    )
    daily_budget_usd: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="US dollars that X may cost per UTC day. The worst case of each question is reserved "
        "before it is asked, so a day exceeds the budget by one Space at most (unless a creator "
        "shows more than ten new Spaces at once: X cannot be asked for fewer). As the budget "
        "runs out, people are no longer requested, discovery slows down and stops, then Spaces "
        "scheduled for later wait, and live ones last",
    )
    x_expanded_users_billed: bool = Field(
        True,
        description="Whether people who come with a Space count as paid reads. X does not document "
        "this; compare with its bill",
    )


class DeliverySettings(BaseSettings):
    """Delivery."""

    retry_schedule_seconds: Schedule = Field(
        DEFAULT_SCHEDULE.delays,
        description="The delays between attempts, so there is one more attempt than delays",
    )
    request_timeout_seconds: Seconds = Field(
        15,
        description="Time limit for connecting, sending and reading the answer together; above 16, a worker "
        "that stops may not wait for the answer, and the delivery is made again",
    )
    lease_seconds: Seconds = Field(
        8,
        ge=MIN_LEASE_SECONDS,
        description="How soon the deliveries that a dead worker had in flight are sent again. A living "
        "worker renews its leases. At least 3",
    )
    allow_http: bool = Field(False, description="Whether endpoints may have `http://` URLs")
    allowed_networks: Networks = Field(
        (),
        description="Private networks that webhooks may reach, as CIDRs: `10.1.0.0/16,fd00::/8`",
    )
    outbound_proxy: AnyProxyUrl | None = Field(
        None,
        description="`http://`, `https://`, `socks5://` or `socks5h://` proxy for webhooks, with "
        "percent-encoded user and password if it needs them. [It looks up the names, and has to refuse "
        "forbidden addresses itself](operating.md#an-outbound-proxy)",
    )
    retention_days: float = Field(
        30,
        gt=0,
        le=3660,
        allow_inf_nan=False,
        description="How long events and deliveries are kept. Must exceed the retry schedule, or the last "
        "attempts are discarded",
    )
    delivery_partitions: int = Field(
        4,
        ge=1,
        le=1024,
        description="The number of queues that endpoints are spread over. The same for all processes; change "
        "it only while all are stopped",
    )


GROUPS: Final[tuple[type[BaseSettings], ...]] = (ProcessSettings, KeySettings, XSettings, DeliverySettings)
"""The groups of settings in the documents; the docstring of each, without the period, is its heading."""


class Settings(DeliverySettings, XSettings, KeySettings, ProcessSettings):
    """Every setting; attribute names are the variables' names without the prefix, in lower case.

    An empty variable counts as not set. Seconds may be fractions.
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

    @property
    def base_url(self) -> str:
        """The URL at which users reach the API: ``public_url``, or the address that we listen on."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{host}:{self.port}"

    @property
    def master_key_ring(self) -> tuple[tuple[str, bytes], ...]:
        """The master keys as (id, 32 bytes), the encrypting one first; empty if none is set."""
        return read_master_keys(self.master_keys.get_secret_value()) if self.master_keys else ()

"""Parsing and validating the values of settings."""

import base64
import binascii
import re
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Final, TypeAlias
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from notifier.redis_url import read_redis_url

MAX_SECONDS: Final = 366 * 86_400
MASTER_KEY_BYTES: Final = 32
KEY_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,32}")
WEB_SCHEMES: Final = ("http", "https")
SOCKS_SCHEMES: Final = ("socks5", "socks5h")
MAX_SOCKS_CREDENTIAL: Final = 255
"""Characters of a user or a password for SOCKS5: RFC 1929 states their lengths in one byte."""
Network: TypeAlias = IPv4Network | IPv6Network


def _split(raw: object) -> object:
    """Split a comma-separated list; a value that is not text (an override, a default) is unchanged."""
    return tuple(item for part in raw.split(",") if (item := part.strip())) if isinstance(raw, str) else raw


def _address(raw: str, schemes: tuple[str, ...]) -> str:
    try:
        parts = urlsplit(raw)
        has_host = bool(parts.hostname) and not any(map(str.isspace, parts.netloc))
        has_zone = "[" in parts.netloc and "%" in (parts.hostname or "")  # means nothing in a URL
        usable = parts.scheme in schemes and has_host and not has_zone and parts.port != 0
    except ValueError:  # a port that is not a number, an unclosed bracket
        usable = False
    if not usable:
        *others, last = (f"{scheme}://" for scheme in schemes)
        raise ValueError(
            f"must be an {', '.join(others)} or {last} URL with a host, and an IPv6 address without a zone"
        )
    return raw.rstrip("/")


def _web_url(raw: str) -> str:
    return _address(raw, WEB_SCHEMES)


def _api_url(raw: str) -> str:
    """Accept a URL with a scheme and a host and nothing more, because we add the rest."""
    address, rest = _web_url(raw), raw.partition("://")[2]
    if any(character in rest.removesuffix("/") for character in "/?#@\\"):
        raise ValueError("must be only scheme and host, like https://api.x.com, without a path like /2")
    return address


def _proxy_url(raw: SecretStr, schemes: tuple[str, ...]) -> SecretStr:
    """Accept the URL of a proxy with a user and a password, percent-encoded where necessary."""
    value = _address(raw.get_secret_value(), schemes)
    parts = urlsplit(value)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    speaks_socks = parts.scheme in SOCKS_SCHEMES
    if speaks_socks:
        _check_socks_credentials(user, password)
    can_be_sent = speaks_socks or (":" not in user and all(each <= "\xff" for each in user + password))
    if parts.path or parts.query or parts.fragment or not can_be_sent:
        raise ValueError(
            f"must be only the address of a proxy, like {parts.scheme}://user:password@proxy.example:3128"
        )
    return SecretStr(value)


def _check_socks_credentials(user: str, password: str) -> None:
    can_be_sent = all(part.isascii() and len(part) <= MAX_SOCKS_CREDENTIAL for part in (user, password))
    if bool(user) != bool(password) or not can_be_sent:
        raise ValueError(
            f"must hold both a user and a password, each of up to {MAX_SOCKS_CREDENTIAL} ASCII characters, "
            "or neither"
        )


def _redis_url(raw: str) -> str:
    read_redis_url(raw)
    return raw


def _header_safe(raw: SecretStr) -> SecretStr:
    """Refuse what cannot be in an Authorization header; keys from files may have spaces around them."""
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
            raise ValueError(f"{item!r} is not a network; write CIDRs like 10.0.0.0/8,fd00::/8") from None
        if "%" in str(network):
            raise ValueError(f"{item!r} names a zone; write the network without it, like fe80::/10")
        networks.append(network)
    return tuple(networks)


def read_master_keys(raw: str) -> tuple[tuple[str, bytes], ...]:
    """Return the keys as (id, 32 bytes), in order.

    Raises:
        ValueError: An entry is malformed; the message does not show it.
    """
    ring: dict[str, bytes] = {}
    for position, entry in enumerate(raw.split(","), start=1):
        key_id, separator, encoded = entry.strip().partition(":")
        if not separator or not KEY_ID.fullmatch(key_id) or key_id in ring:
            raise ValueError(f"entry {position} must be id:base64 with a unique id (letters, digits, _.-)")
        try:
            key = base64.b64decode(encoded.strip().translate(str.maketrans("-_", "+/")), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != MASTER_KEY_BYTES:
            raise ValueError(f"entry {position} must hold 32 bytes as base64 (openssl rand -base64 32)")
        ring[key_id] = key
    return tuple(ring.items())


def _master_keys(raw: SecretStr) -> SecretStr:
    read_master_keys(raw.get_secret_value())
    return raw


Seconds: TypeAlias = Annotated[float, Field(gt=0, le=MAX_SECONDS, allow_inf_nan=False)]
WebUrl: TypeAlias = Annotated[str, AfterValidator(_web_url)]
ApiUrl: TypeAlias = Annotated[str, AfterValidator(_api_url)]
HeaderSecret: TypeAlias = Annotated[SecretStr, AfterValidator(_header_safe)]
MasterKeys: TypeAlias = Annotated[SecretStr, AfterValidator(_master_keys)]
ProxyUrl: TypeAlias = Annotated[SecretStr, AfterValidator(partial(_proxy_url, schemes=WEB_SCHEMES))]
AnyProxyUrl: TypeAlias = Annotated[
    SecretStr, AfterValidator(partial(_proxy_url, schemes=WEB_SCHEMES + SOCKS_SCHEMES))
]
RedisUrl: TypeAlias = Annotated[str, AfterValidator(_redis_url)]
Networks: TypeAlias = Annotated[
    tuple[Network, ...], NoDecode, BeforeValidator(_networks), BeforeValidator(_split)
]
Schedule: TypeAlias = Annotated[tuple[Seconds, ...], NoDecode, BeforeValidator(_split), Field(min_length=1)]
UpperCase: Final = BeforeValidator(lambda raw: raw.strip().upper() if isinstance(raw, str) else raw)

"""Parsing ``NOTIFIER_REDIS_URL`` strictly: what a client library would ignore or guess is refused here.

Messages name the part that is wrong and never repeat a value, which may be part of a password.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

PORT: Final = 6_379
SENTINEL_PORT: Final = 26_379
SERVICE: Final = "mymaster"
MAX_PORT: Final = 65_535
MAX_SOCKET_PATH: Final = 107
"""The longest path of a Unix socket on Linux, in bytes."""

URL: Final = re.compile(r"(?P<scheme>[a-z+]+)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(\?(?P<query>.*))?")
HOST: Final = re.compile(r"(\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:%,]+))(:(?P<port>.*))?")
PARAMETER_NAME: Final = re.compile(r"[a-z_]{1,40}")
DATABASE: Final = re.compile(r"[0-9]{1,9}")
SERVICE_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")

TRUTHS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
CERTIFICATE_CHECKS: Final = ("none", "optional", "required")


@dataclass(frozen=True, slots=True)
class Tls:
    """How the server is verified: ``ca_certs``, ``certfile`` and ``keyfile`` are paths, or None."""

    check_hostname: bool = True
    cert_reqs: str = "required"
    ca_certs: str | None = None
    certfile: str | None = None
    keyfile: str | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """A user and a password; None if the URL has none."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """Where Redis is: one host, or Sentinels and the name ``service``, or a socket at ``path``."""

    hosts: tuple[tuple[str, int], ...] = ()
    path: str | None = None
    service: str | None = None
    database: int = 0
    login: Login = Login()
    sentinel_login: Login = Login()
    tls: Tls | None = None
    sentinel_tls: Tls | None = None


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of a URL; ``given`` has the parsed parameters."""

    scheme: str
    login: Login
    address: str
    path: str
    given: Mapping[str, Any]


def read_redis_url(raw: str) -> RedisUrl:
    """Return a parsed ``redis://``, ``rediss://``, ``unix://`` or ``redis+sentinel://`` URL.

    Raises:
        ValueError: It is none of these, nor ``rediss+sentinel://``, or a part of it is wrong; the message is
            for the operator.
    """
    parts = _split(raw)
    if parts.scheme == "unix":
        return _read_unix(parts)
    if parts.scheme.endswith("+sentinel"):
        return _read_sentinel(parts)
    return RedisUrl(
        hosts=(_host(parts.address, PORT),),
        database=_database(parts, parts.path.removeprefix("/")),
        login=parts.login,
        tls=_tls(parts.given) if parts.scheme == "rediss" else None,
    )


def _split(raw: str) -> _Parts:
    found = URL.fullmatch(raw)
    scheme = found["scheme"] if found else raw.partition("://")[0]
    if scheme not in PARAMETERS_OF:
        raise ValueError(
            "must be a URL that starts with redis://, rediss://, unix://, redis+sentinel:// or rediss+sentinel://"
        )
    if any(character.isspace() or not character.isprintable() for character in raw):
        raise ValueError("must not contain spaces or control characters; write %20 for a space")
    if found is None:
        raise ValueError("must not contain a '#'; write %23 where a password or a path has one")
    userinfo, at, address = found["authority"].rpartition("@")
    if not at and "@" in raw and scheme != "unix":
        raise ValueError("has an '@' after the host; percent-encode / ? # @ in a password (%2F %3F %23 %40)")
    username, _, password = userinfo.partition(":")
    login = Login(unquote(username) or None, unquote(password) or None)
    given = _parameters(scheme, found["query"] or "")
    return _Parts(scheme, login, address, found["path"], given)


def _parameters(scheme: str, query: str) -> dict[str, Any]:
    known = PARAMETERS_OF[scheme]
    given: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            shown = repr(name) if PARAMETER_NAME.fullmatch(name) else "a parameter"
            raise ValueError(
                f"{shown} after '?' is not known with {scheme}://; known are {', '.join(sorted(known))}"
            )
        if name in given:
            raise ValueError(f"{name} is given twice")
        given[name] = known[name](name, value)
    return given


def _read_unix(parts: _Parts) -> RedisUrl:
    path = unquote(parts.path)
    if parts.address or path in ("", "/"):
        raise ValueError("must have the absolute path of a socket, like unix:///run/redis/redis.sock")
    if len(path.encode()) > MAX_SOCKET_PATH:
        raise ValueError(f"has a path that is too long; a socket's has at most {MAX_SOCKET_PATH} bytes")
    login = Login(
        parts.given.get("username", parts.login.username), parts.given.get("password", parts.login.password)
    )
    return RedisUrl(path=path, database=_database(parts, ""), login=login)


def _read_sentinel(parts: _Parts) -> RedisUrl:
    service, _, database = parts.path.removeprefix("/").partition("/")
    service = unquote(service)
    if service and not SERVICE_NAME.fullmatch(service):
        raise ValueError("has an invalid service name; Sentinels allow letters, digits and ._- only")
    secure = parts.given.get("ssl", parts.scheme == "rediss+sentinel")
    tls = _tls(parts.given) if secure or parts.given.get("sentinel_ssl") else None
    return RedisUrl(
        hosts=tuple(_host(host, SENTINEL_PORT) for host in parts.address.split(",")),
        service=service or SERVICE,
        database=_database(parts, database),
        login=parts.login,
        sentinel_login=Login(parts.given.get("sentinel_username"), parts.given.get("sentinel_password")),
        tls=tls if secure else None,
        sentinel_tls=tls if parts.given.get("sentinel_ssl", secure) else None,
    )


def _host(text: str, default_port: int) -> tuple[str, int]:
    found = HOST.fullmatch(text)
    if found is None:
        raise ValueError("has no host, or an invalid one; write host, host:port or [address]:port")
    port = found["port"]
    if port is None:
        return found["v6"] or found["name"], default_port
    if not (port.isascii() and port.isdecimal()) or not 0 < int(port) <= MAX_PORT:
        raise ValueError(f"has a port that is not a number from 1 to {MAX_PORT}")
    return found["v6"] or found["name"], int(port)


def _database(parts: _Parts, path: str) -> int:
    path = path.removesuffix("/")
    if path and "db" in parts.given:
        raise ValueError("has two database numbers, in the path and as db")
    if path and not DATABASE.fullmatch(path):
        raise ValueError("has a database that is not a number; write it like redis://host:6379/0")
    return int(path or parts.given.get("db", 0))


def _tls(given: Mapping[str, Any]) -> Tls:
    own = {each.name: given[f"ssl_{each.name}"] for each in fields(Tls) if f"ssl_{each.name}" in given}
    unchecked = own.get("cert_reqs") == "none"
    if unchecked and own.get("check_hostname"):
        raise ValueError("ssl_check_hostname cannot be true with ssl_cert_reqs=none")
    if ("certfile" in own) != ("keyfile" in own):
        raise ValueError("ssl_certfile and ssl_keyfile must be given together")
    return Tls(**{"check_hostname": not unchecked, **own})


def _truth(name: str, value: str) -> bool:
    if value.lower() not in TRUTHS:
        raise ValueError(f"{name} must be true or false")
    return TRUTHS[value.lower()]


def _text(name: str, value: str) -> str:
    if not value:
        raise ValueError(f"{name} is empty")
    return value


def _number(name: str, value: str) -> int:
    if not DATABASE.fullmatch(value):
        raise ValueError(f"{name} must be a number")
    return int(value)


def _check(name: str, value: str) -> str:
    if value not in CERTIFICATE_CHECKS:
        raise ValueError(f"{name} must be {', '.join(CERTIFICATE_CHECKS[:-1])} or {CERTIFICATE_CHECKS[-1]}")
    return value


Reader = Callable[[str, str], Any]

PLAIN: Final[Mapping[str, Reader]] = {"db": _number}
TLS: Final[Mapping[str, Reader]] = {
    "ssl_check_hostname": _truth,
    "ssl_cert_reqs": _check,
    "ssl_ca_certs": _text,
    "ssl_certfile": _text,
    "ssl_keyfile": _text,
}
SENTINEL: Final[Mapping[str, Reader]] = {
    "sentinel_username": _text,
    "sentinel_password": _text,
    "sentinel_ssl": _truth,
    "ssl": _truth,
}
PARAMETERS_OF: Final[Mapping[str, Mapping[str, Reader]]] = {
    "redis": PLAIN,
    "rediss": {**PLAIN, **TLS},
    "unix": {**PLAIN, "username": _text, "password": _text},
    "redis+sentinel": {**PLAIN, **TLS, **SENTINEL},
    "rediss+sentinel": {**PLAIN, **TLS, **SENTINEL},
}
"""The parameters of each scheme, and their parsers."""

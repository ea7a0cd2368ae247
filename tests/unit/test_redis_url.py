"""Valid values of ``NOTIFIER_REDIS_URL``; others are refused without repeating them."""

from __future__ import annotations

import pytest

from notifier.config import load_settings
from notifier.errors import ConfigError
from notifier.redis_url import Login, RedisUrl, Tls, read_redis_url

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("redis://host", RedisUrl(hosts=(("host", 6379),))),
        ("redis://host/", RedisUrl(hosts=(("host", 6379),))),
        ("redis://host:6380/7", RedisUrl(hosts=(("host", 6380),), database=7)),
        ("redis://host?db=7", RedisUrl(hosts=(("host", 6379),), database=7)),
        ("redis://host/7/", RedisUrl(hosts=(("host", 6379),), database=7)),
        ("redis://[::1]:6380/0", RedisUrl(hosts=(("::1", 6380),))),
        ("redis://[::1]", RedisUrl(hosts=(("::1", 6379),))),
        ("redis://redis_1.internal", RedisUrl(hosts=(("redis_1.internal", 6379),))),
        ("redis://:p%40ss@host", RedisUrl(hosts=(("host", 6379),), login=Login(None, "p@ss"))),
        ("redis://user:a:b@c@host", RedisUrl(hosts=(("host", 6379),), login=Login("user", "a:b@c"))),
        ("rediss://host", RedisUrl(hosts=(("host", 6379),), tls=Tls())),
        (
            "rediss://host?ssl_check_hostname=False&ssl_ca_certs=/etc/ca.pem",
            RedisUrl(hosts=(("host", 6379),), tls=Tls(check_hostname=False, ca_certs="/etc/ca.pem")),
        ),
        (
            "rediss://host?ssl_cert_reqs=none",
            RedisUrl(hosts=(("host", 6379),), tls=Tls(check_hostname=False, cert_reqs="none")),
        ),
        (
            "rediss://host?ssl_certfile=c.pem&ssl_keyfile=k.pem",
            RedisUrl(hosts=(("host", 6379),), tls=Tls(certfile="c.pem", keyfile="k.pem")),
        ),
        ("unix:///run/redis.sock", RedisUrl(path="/run/redis.sock")),
        (
            "unix://user:word@/run/redis%20one.sock?db=3",
            RedisUrl(path="/run/redis one.sock", database=3, login=Login("user", "word")),
        ),
        (
            "unix:///run/redis.sock?password=p@ss",
            RedisUrl(path="/run/redis.sock", login=Login(None, "p@ss")),
        ),
        ("redis+sentinel://one", RedisUrl(hosts=(("one", 26_379),), service="mymaster")),
        (
            "redis+sentinel://user:word@one:1,[::2],three:3/main/4?sentinel_password=s",
            RedisUrl(
                hosts=(("one", 1), ("::2", 26_379), ("three", 3)),
                service="main",
                database=4,
                login=Login("user", "word"),
                sentinel_login=Login(None, "s"),
            ),
        ),
        (
            "redis+sentinel://one/main?ssl=true",
            RedisUrl(hosts=(("one", 26_379),), service="main", tls=Tls(), sentinel_tls=Tls()),
        ),
        (
            "rediss+sentinel://one/main?sentinel_ssl=false&ssl_check_hostname=no",
            RedisUrl(hosts=(("one", 26_379),), service="main", tls=Tls(check_hostname=False)),
        ),
    ],
)
def test_a_url_is_parsed(url: str, read: RedisUrl) -> None:
    assert read_redis_url(url) == read
    assert load_settings(redis_url=url).redis_url == url


BAD = {
    "another scheme": ("http://host", "must be a URL that starts with redis://"),
    "no scheme": ("host:6379", "must be a URL that starts with redis://"),
    "one slash": ("redis:/host", "must be a URL that starts with redis://"),
    "in capitals": ("REDIS://host", "must be a URL that starts with redis://"),
    "nothing after the scheme": ("redis://", "has no host"),
    "no host": ("redis:///0", "has no host"),
    "no host before the port": ("redis://:6379", "has no host"),
    "several hosts": ("redis://one,two/0", "has no host, or an invalid one"),
    "a bracket left open": ("redis://[::1/0", "has no host, or an invalid one"),
    "a host in brackets": ("redis://[host]/0", "has no host, or an invalid one"),
    "a port that is no number": ("redis://host:port", "has a port that is not a number"),
    "no port after the colon": ("redis://host:/0", "has a port that is not a number"),
    "port 0": ("redis://host:0", "has a port that is not a number from 1 to 65535"),
    "a port out of range": ("redis://host:70000", "has a port that is not a number from 1 to 65535"),
    "a port with a sign": ("redis://host:+6379", "has a port that is not a number"),
    "a port in other digits": ("redis://host:٦٣٧٩", "has a port that is not a number"),
    "a database that is a word": ("redis://host/abc", "has a database that is not a number"),
    "a negative database": ("redis://host/-1", "has a database that is not a number"),
    "a fraction": ("redis://host/1.5", "has a database that is not a number"),
    "two databases in the path": ("redis://host/1/2", "has a database that is not a number"),
    "a database twice": ("redis://host/1?db=2", "has two database numbers"),
    "db is a word": ("redis://host?db=abc", "db must be a number"),
    "db is empty": ("redis://host?db=", "db must be a number"),
    "an unknown parameter": ("redis://host?foo=bar", "'foo' after '?' is not known with redis://"),
    "a parameter of the client": (
        "redis://host?decode_responses=1",
        "'decode_responses' after '?' is not known with redis://; known are db",
    ),
    "a parameter of TLS without TLS": (
        "redis://host?ssl_check_hostname=false",
        "'ssl_check_hostname' after '?' is not known with redis://",
    ),
    "a parameter twice": ("rediss://host?ssl_ca_certs=a&ssl_ca_certs=b", "ssl_ca_certs is given twice"),
    "neither true nor false": (
        "rediss://host?ssl_check_hostname=maybe",
        "ssl_check_hostname must be true or false",
    ),
    "an unknown check": (
        "rediss://host?ssl_cert_reqs=always",
        "ssl_cert_reqs must be none, optional or required",
    ),
    "a name without a check": (
        "rediss://host?ssl_cert_reqs=none&ssl_check_hostname=true",
        "ssl_check_hostname cannot be true with ssl_cert_reqs=none",
    ),
    "a key without a certificate": (
        "rediss://host?ssl_keyfile=k.pem",
        "ssl_certfile and ssl_keyfile must be given together",
    ),
    "an empty file": ("rediss://host?ssl_ca_certs=", "ssl_ca_certs is empty"),
    "a space": ("redis://ho st", "must not contain spaces"),
    "a line break": ("redis://host\n/0", "must not contain spaces or control characters"),
    "a fragment": ("redis://host/0#1", "must not contain a '#'"),
    "a slash in a password": ("redis://:hunter2/x@host/0", "has an '@' after the host"),
    "a question mark in a password": ("redis://:hunter2?x=1@host/0", "has an '@' after the host"),
    "a hash in a password": ("redis://:hunter2#x@host/0", "must not contain a '#'"),
    "a socket without a path": ("unix://", "must have the absolute path of a socket"),
    "only a slash": ("unix:///", "must have the absolute path of a socket"),
    "a relative socket": ("unix://run/redis.sock", "must have the absolute path of a socket"),
    "a socket with a long path": ("unix:///" + "a" * 120, "has a path that is too long"),
    "a Sentinel without a host": ("redis+sentinel:///mymaster", "has no host"),
    "an empty Sentinel": ("redis+sentinel://one,,two/mymaster", "has no host"),
    "a Sentinel's port": ("redis+sentinel://one:x/mymaster", "has a port that is not a number"),
    "a Sentinel's database": ("redis+sentinel://one/mymaster/x", "has a database that is not a number"),
    "a service with a space": ("redis+sentinel://one/my%20master", "has an invalid service name"),
    "a Sentinel's parameter": (
        "redis+sentinel://one/m?sentinel_pasword=hunter2",
        "'sentinel_pasword' after '?' is not known",
    ),
}


@pytest.mark.parametrize(("url", "says"), BAD.values(), ids=BAD.keys())
def test_an_invalid_url_is_refused_in_one_line(url: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_settings(redis_url=url)
    assert refused.value.message.startswith(f"NOTIFIER_REDIS_URL: {says}")
    assert refused.value.message.isprintable()
    assert SECRET not in refused.value.message


def test_the_repr_does_not_show_the_password() -> None:
    read = read_redis_url(f"redis+sentinel://:{SECRET}@one/main?sentinel_password={SECRET}")
    assert SECRET not in repr(read)

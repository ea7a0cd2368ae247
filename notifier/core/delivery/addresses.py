"""Which addresses and URLs webhooks may reach.

The list is explicit because ``ipaddress.is_global`` lets through much of what must not be dialled: prefixes
that carry a private IPv4 address inside, multicast, and blocks assigned since. The same check runs when a URL
is registered (for literal addresses) and at every dial (for what its name resolved to).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from notifier.errors import AddressError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from urllib.parse import SplitResult

MAX_URL_CHARS: Final = 2048
MAX_HOST_CHARS: Final = 253
WELL_KNOWN_PORTS: Final = frozenset({80, 443})
FIRST_UNPRIVILEGED_PORT: Final = 1024


@dataclass(frozen=True, slots=True)
class ForbiddenNetwork:
    """A network that webhooks must not reach, what it is for, and where that is laid down."""

    network: IPv4Network | IPv6Network
    purpose: str
    source: str


def _forbid(cidr: str, purpose: str, source: str) -> ForbiddenNetwork:
    return ForbiddenNetwork(ip_network(cidr), purpose, source)


FORBIDDEN_NETWORKS: Final = (
    _forbid("0.0.0.0/8", "this host on this network", "RFC 1122 section 3.2.1.3"),
    _forbid("10.0.0.0/8", "private use", "RFC 1918"),
    _forbid("100.64.0.0/10", "shared address space of carriers", "RFC 6598"),
    _forbid("127.0.0.0/8", "loopback", "RFC 1122 section 3.2.1.3"),
    _forbid("168.63.129.16/32", "the platform service inside Azure", "Azure documentation"),
    _forbid("169.254.0.0/16", "link-local, where clouds keep their metadata", "RFC 3927"),
    _forbid("172.16.0.0/12", "private use", "RFC 1918"),
    _forbid("192.0.0.0/24", "IETF protocol assignments", "RFC 6890"),
    _forbid("192.0.2.0/24", "documentation", "RFC 5737"),
    _forbid("192.88.99.0/24", "former 6to4 relays", "RFC 7526"),
    _forbid("192.168.0.0/16", "private use", "RFC 1918"),
    _forbid("198.18.0.0/15", "benchmarks", "RFC 2544"),
    _forbid("198.51.100.0/24", "documentation", "RFC 5737"),
    _forbid("203.0.113.0/24", "documentation", "RFC 5737"),
    _forbid("224.0.0.0/4", "multicast", "RFC 5771"),
    _forbid("255.255.255.255/32", "limited broadcast", "RFC 919"),
    _forbid("240.0.0.0/4", "reserved", "RFC 1112 section 4"),
    _forbid("::/128", "the unspecified address", "RFC 4291 section 2.5.2"),
    _forbid("::1/128", "loopback", "RFC 4291 section 2.5.3"),
    _forbid("::/96", "IPv4-compatible", "RFC 4291 section 2.5.5.1"),
    _forbid("::ffff:0:0:0/96", "IPv4-translated", "RFC 2765 section 2.1"),
    _forbid("64:ff9b::/96", "NAT64", "RFC 6052"),
    _forbid("64:ff9b:1::/48", "local NAT64", "RFC 8215"),
    _forbid("100::/64", "discarded", "RFC 6666"),
    _forbid("100:0:0:1::/64", "dummy prefix", "RFC 9780"),
    _forbid("2001::/32", "Teredo", "RFC 4380"),
    _forbid("2001:2::/48", "benchmarks", "RFC 5180"),
    _forbid("2001:10::/28", "former ORCHID identifiers", "RFC 4843"),
    _forbid("2001:20::/28", "ORCHIDv2 identifiers", "RFC 7343"),
    _forbid("2001::/23", "IETF protocol assignments", "RFC 2928"),
    _forbid("2001:db8::/32", "documentation", "RFC 3849"),
    _forbid("2002::/16", "6to4", "RFC 3056"),
    _forbid("3fff::/20", "documentation", "RFC 9637"),
    _forbid("5f00::/16", "segment routing identifiers", "RFC 9602"),
    _forbid("fc00::/7", "unique local", "RFC 4193"),
    _forbid("fe80::/10", "link-local", "RFC 4291 section 2.5.6"),
    _forbid("fec0::/10", "former site-local", "RFC 3879"),
    _forbid("ff00::/8", "multicast", "RFC 4291 section 2.7"),
    # What is left outside 2000::/3 is not assigned for global unicast.
    _forbid("::/3", "outside global unicast", "RFC 4291 section 2.4"),
    _forbid("4000::/2", "outside global unicast", "RFC 4291 section 2.4"),
    _forbid("8000::/1", "outside global unicast", "RFC 4291 section 2.4"),
)
"""In the order of the lookup: of two overlapping networks the narrower comes first, its reason says more."""

_MAPPED: Final = IPv6Network("::ffff:0:0/96")

_EMBEDDINGS: Final = (
    (IPv6Network("::/96"), 0),
    (IPv6Network("::ffff:0:0:0/96"), 0),
    (IPv6Network("64:ff9b::/96"), 0),
    (IPv6Network("2002::/16"), 80),
    (IPv6Network("2001::/32"), 64),
)
"""Where an IPv4 address sits in an IPv6 address: the prefix, and how many bits are to its right."""

_TEREDO: Final = IPv6Network("2001::/32")
_IPV4_MASK: Final = 0xFFFF_FFFF

_HOST: Final = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
)
_BRACKETED: Final = re.compile(r"\[([^\[\]]+)\](?::[0-9]*)?")
_ZONE: Final = re.compile(r"[^/?#]*//[^/?#]*\[[^]/?#]*%")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")


def check_address(
    ip: str | IPv4Address | IPv6Address, allowed: Sequence[IPv4Network | IPv6Network] = ()
) -> None:
    """Check one address that is about to be dialled.

    An IPv4-mapped address is judged as the IPv4 address that it is. An address in a translation prefix is
    judged twice: its prefix must be allowed, and so must the IPv4 address inside.

    Args:
        ip: An address, or its text; a scope (``fe80::1%eth0``) changes nothing.
        allowed: Networks that may be reached although they are on the list.

    Raises:
        AddressError: It is on the list, or no address at all; the message names the rule.
    """
    try:
        address = ip_address(ip)
    except ValueError as error:
        raise AddressError(f"{ip!r} is not an IP address") from error
    for candidate in _addresses_inside(address):
        rule = _rule_against(candidate, allowed)
        if rule is not None:
            inside = "" if candidate == address else f" stands for {candidate}, which"
            raise AddressError(
                f"{address}{inside} is in {rule.network} ({rule.purpose}, {rule.source}); "
                "webhooks go there only if NOTIFIER_ALLOWED_NETWORKS names it"
            )


def check_url(
    url: str, *, allow_http: bool = False, allowed: Sequence[IPv4Network | IPv6Network] = ()
) -> str:
    """Check the URL of an endpoint when it is registered.

    Names are not resolved here: what they resolve to is checked at every dial.

    Returns:
        The URL as it was written, without its fragment, which is never sent.

    Raises:
        InvalidInputError: The form is wrong; the message says what is.
        AddressError: The host is an address, or a name for one, that webhooks must not reach.
    """
    parts = _split(url)
    _check_scheme(parts.scheme, allow_http=allow_http)
    if "@" in parts.netloc:
        raise _bad_url("must not hold a user name or password; use headers instead")
    _check_port(parts)
    if "[" in parts.netloc:
        _check_bracketed(parts, allowed)
    else:
        _check_name(parts.hostname or "", allowed)
    return url.partition("#")[0]


def _rule_against(
    address: IPv4Address | IPv6Address, allowed: Sequence[IPv4Network | IPv6Network]
) -> ForbiddenNetwork | None:
    if any(address in network for network in allowed):
        return None
    return next((rule for rule in FORBIDDEN_NETWORKS if address in rule.network), None)


def _addresses_inside(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address | IPv6Address]:
    """Yield every address that a packet to ``address`` may end at."""
    if isinstance(address, IPv6Address) and address in _MAPPED:
        yield IPv4Address(int(address) & _IPV4_MASK)
        return
    yield address
    if isinstance(address, IPv4Address) or int(address) <= 1:  # :: and ::1 are not IPv4-compatible addresses
        return
    for prefix, bits_to_the_right in _EMBEDDINGS:
        if address in prefix:
            yield IPv4Address(int(address) >> bits_to_the_right & _IPV4_MASK)
    if address in _TEREDO:
        yield IPv4Address(~int(address) & _IPV4_MASK)  # the client, stored inverted after its server


def _split(url: str) -> SplitResult:
    if len(url) > MAX_URL_CHARS:
        raise _bad_url(f"must have at most {MAX_URL_CHARS} characters")
    # The parser would drop some of these silently, and the HTTP client reads a backslash otherwise.
    if "\\" in url or any(char.isspace() or not char.isprintable() for char in url):
        raise _bad_url("must not hold spaces, control characters or backslashes")
    if _ZONE.match(url):
        raise _bad_url(
            "must not name a zone, the % behind an IPv6 address; it means something on one machine only"
        )
    try:
        return urlsplit(url)
    except ValueError as error:
        raise _bad_url(f"cannot be read: {error}") from error


def _check_scheme(scheme: str, *, allow_http: bool) -> None:
    if scheme == "https" or (allow_http and scheme == "http"):
        return
    if scheme == "http":
        raise _bad_url("must begin with https://; NOTIFIER_ALLOW_HTTP lifts this")
    raise _bad_url("must be absolute and begin with https://")


def _check_port(parts: SplitResult) -> None:
    try:
        port = parts.port
    except ValueError as error:
        raise _bad_url("must have a port from 1 to 65535, or none") from error
    if port is not None and port < FIRST_UNPRIVILEGED_PORT and port not in WELL_KNOWN_PORTS:
        raise _bad_url(f"must not use port {port}; of those below 1024 only 80 and 443 are open to webhooks")


def _check_bracketed(parts: SplitResult, allowed: Sequence[IPv4Network | IPv6Network]) -> None:
    match = _BRACKETED.fullmatch(parts.netloc)
    try:
        address = IPv6Address(match[1] if match else "")
    except ValueError as error:
        raise _bad_url("must hold nothing but an IPv6 address and a port where it has brackets") from error
    check_address(address, allowed)


def _check_name(host: str, allowed: Sequence[IPv4Network | IPv6Network]) -> None:
    """Check what is not in brackets: a name, or an IPv4 address in one of the forms that resolvers take."""
    name = host.removesuffix(".")
    if len(name) > MAX_HOST_CHARS or not _HOST.fullmatch(name):
        raise _bad_url("must have a host of ASCII letters, digits, hyphens and dots (xn-- for other scripts)")
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        try:
            address = IPv4Address(host)
        except ValueError as error:
            raise _bad_url("must write an IPv4 address as four decimal numbers, like 192.0.2.1") from error
        check_address(address, allowed)
    elif name == "localhost" or name.endswith(".localhost"):
        check_address("127.0.0.1", allowed)


def _bad_url(problem: str) -> InvalidInputError:
    return InvalidInputError.of("url", problem)

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.delivery.addresses import FORBIDDEN_NETWORKS, ForbiddenNetwork, check_address, check_url
from notifier.errors import AddressError, InvalidInputError

LOOPBACK = (ip_network("127.0.0.0/8"),)

FORBIDDEN = [
    ("0.0.0.0", "this host"),
    ("0.1.2.3", "this host"),
    ("10.0.0.0", "RFC 1918"),
    ("10.255.255.255", "RFC 1918"),
    ("100.64.0.1", "carriers"),
    ("100.100.100.200", "carriers"),
    ("100.127.255.255", "carriers"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("168.63.129.16", "Azure"),
    ("169.254.0.1", "link-local"),
    ("169.254.169.254", "link-local"),
    ("172.16.0.1", "RFC 1918"),
    ("172.31.255.255", "RFC 1918"),
    ("192.0.0.1", "IETF"),
    ("192.0.0.192", "IETF"),
    ("192.0.2.1", "documentation"),
    ("192.88.99.1", "6to4"),
    ("192.168.0.1", "RFC 1918"),
    ("192.168.255.255", "RFC 1918"),
    ("198.18.0.1", "benchmarks"),
    ("198.19.255.255", "benchmarks"),
    ("198.51.100.7", "documentation"),
    ("203.0.113.7", "documentation"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "broadcast"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::7f00:1", "IPv4-compatible"),
    ("::8.8.8.8", "IPv4-compatible"),
    ("::ffff:127.0.0.1", "stands for 127.0.0.1"),
    ("::ffff:10.0.0.1", "stands for 10.0.0.1"),
    ("::ffff:a9fe:a9fe", "stands for 169.254.169.254"),
    ("::ffff:0:127.0.0.1", "IPv4-translated"),
    ("64:ff9b::7f00:1", "NAT64"),
    ("64:ff9b::8.8.8.8", "NAT64"),
    ("64:ff9b:1::a00:1", "local NAT64"),
    ("100::1", "discarded"),
    ("100:0:0:1::1", "dummy"),
    ("2001::1", "Teredo"),
    ("2001:0:7f00:1::", "Teredo"),
    ("2001:2::1", "benchmarks"),
    ("2001:10::1", "ORCHID"),
    ("2001:20::1", "ORCHIDv2"),
    ("2001:1::1", "IETF"),
    ("2001:db8::1", "documentation"),
    ("2002:7f00:1::", "6to4"),
    ("2002:808:808::1", "6to4"),
    ("3fff::1", "documentation"),
    ("3fff:fff::1", "documentation"),
    ("5f00::1", "segment routing"),
    ("fc00::1", "unique local"),
    ("fd00:ec2::254", "unique local"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local"),
    ("febf::1", "link-local"),
    ("fec0::1", "site-local"),
    ("feff::1", "site-local"),
    ("ff02::1", "multicast"),
    ("ff0e::1", "multicast"),
    ("1::1", "outside global unicast"),
    ("4000::1", "outside global unicast"),
    ("8000::1", "outside global unicast"),
    ("fe00::1", "outside global unicast"),
    ("", "not an IP address"),
    ("example.com", "not an IP address"),
    ("127.1", "not an IP address"),
    ("0177.0.0.1", "not an IP address"),
    ("2130706433", "not an IP address"),
    ("fe80::1%", "not an IP address"),
]

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.88.98.255",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2003::1",
    "2606:4700::1111",
    "2a00:1450:4001::1",
    "3ffe:ffff::1",
    "2606:4700::1111%eth0",
]


@pytest.mark.parametrize(("address", "reason"), FORBIDDEN)
def test_an_address_is_forbidden(address: str, reason: str) -> None:
    with pytest.raises(AddressError, match=reason):
        check_address(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_is_public(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize("rule", FORBIDDEN_NETWORKS, ids=lambda rule: str(rule.network))
def test_every_rule_covers_its_first_and_last_address(rule: ForbiddenNetwork) -> None:
    for address in (rule.network[0], rule.network[-1]):
        with pytest.raises(AddressError, match=r"RFC|Azure"):
            check_address(address)


@pytest.mark.parametrize("index", range(len(FORBIDDEN_NETWORKS)))
def test_no_rule_is_shadowed_by_an_earlier_one(index: int) -> None:
    network = FORBIDDEN_NETWORKS[index].network
    for earlier in FORBIDDEN_NETWORKS[:index]:
        assert not (network[0] in earlier.network and network[-1] in earlier.network)


@given(st.ip_addresses())
def test_addresses_that_the_standard_library_calls_private_are_forbidden(
    address: IPv4Address | IPv6Address,
) -> None:
    if not address.is_global and getattr(address, "ipv4_mapped", None) is None:
        with pytest.raises(AddressError):
            check_address(address)


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_judged_by_the_embedded_one(address: IPv4Address) -> None:
    mapped = IPv6Address(int(IPv6Address("::ffff:0:0")) | int(address))
    assert is_forbidden(mapped) == is_forbidden(address)


@given(st.ip_addresses(v=4))
def test_an_allowed_translation_prefix_still_checks_the_embedded_address(address: IPv4Address) -> None:
    inside = {
        IPv6Network("64:ff9b::/96"): int(address),
        IPv6Network("::ffff:0:0:0/96"): int(address),
        IPv6Network("2002::/16"): int(address) << 80,
    }
    for network, bits in inside.items():
        embedding = IPv6Address(int(network.network_address) | bits)
        assert is_forbidden(embedding)
        assert is_forbidden(embedding, network) == is_forbidden(address)


@given(server=st.ip_addresses(v=4), client=st.ip_addresses(v=4))
def test_an_allowed_teredo_prefix_still_checks_server_and_client(
    server: IPv4Address, client: IPv4Address
) -> None:
    teredo = IPv6Network("2001::/32")
    bits = int(server) << 64 | (~int(client) & 0xFFFF_FFFF)
    address = IPv6Address(int(teredo.network_address) | bits)
    assert is_forbidden(address, teredo) == (is_forbidden(server) or is_forbidden(client))


def is_forbidden(address: IPv4Address | IPv6Address, *allowed: IPv4Network | IPv6Network) -> bool:
    try:
        check_address(address, allowed)
    except AddressError:
        return True
    return False


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("127.0.0.1", "127.0.0.0/8"),
        ("::ffff:127.0.0.1", "127.0.0.0/8"),
        ("10.1.2.3", "10.1.0.0/16"),
        ("::1", "::1/128"),
        ("fe80::1%eth0", "fe80::/10"),
        ("fd00::5", "fd00::/8"),
    ],
)
def test_an_allowed_network_passes(address: str, allowed: str) -> None:
    check_address(address, [ip_network(allowed)])


@pytest.mark.parametrize(
    ("address", "allowed"), [("10.2.0.1", "10.1.0.0/16"), ("127.0.0.1", "::/0"), ("::1", "0.0.0.0/0")]
)
def test_an_allowed_network_allows_no_other(address: str, allowed: str) -> None:
    with pytest.raises(AddressError):
        check_address(address, [ip_network(allowed)])


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://example.com", "https://example.com"),
        ("https://example.com/hook?a=b", "https://example.com/hook?a=b"),
        ("https://example.com/hook#part", "https://example.com/hook"),
        ("HTTPS://Example.COM/Hook", "HTTPS://Example.COM/Hook"),
        ("https://example.com/a?", "https://example.com/a?"),
        ("https://example.com?", "https://example.com?"),
        ("https://example.com?x=1", "https://example.com?x=1"),
        ("https://example.com/a?#part", "https://example.com/a?"),
        ("https://example.com/#", "https://example.com/"),
        (
            "https://example.com//a/./b/../c;d=1/%7e%7E?a=%2f&&=",
            "https://example.com//a/./b/../c;d=1/%7e%7E?a=%2f&&=",
        ),
        ("https://example.com./hook", "https://example.com./hook"),
        ("https://example.com:443/", "https://example.com:443/"),
        ("https://example.com:80/", "https://example.com:80/"),
        ("https://example.com:1024/", "https://example.com:1024/"),
        ("https://example.com:65535/", "https://example.com:65535/"),
        ("https://example.com:/", "https://example.com:/"),
        ("https://my_host.example.com/", "https://my_host.example.com/"),
        ("https://xn--mnchen-3ya.de/", "https://xn--mnchen-3ya.de/"),
        ("https://hooks/", "https://hooks/"),
        ("https://1.2.3.4.example.com/", "https://1.2.3.4.example.com/"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://[2606:4700::1111]:8443/x", "https://[2606:4700::1111]:8443/x"),
        ("https://[::ffff:8.8.8.8]/", "https://[::ffff:8.8.8.8]/"),
        ("https://example.com/münchen", "https://example.com/münchen"),
        ("https://example.com/@user", "https://example.com/@user"),
    ],
)
def test_a_url_is_accepted(url: str, kept: str) -> None:
    assert check_url(url) == kept


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "absolute"),
        ("example.com/hook", "absolute"),
        ("/hook", "absolute"),
        ("//example.com/hook", "absolute"),
        ("ftp://example.com/", "absolute"),
        ("file:///etc/passwd", "absolute"),
        ("gopher://example.com/", "absolute"),
        ("javascript:alert(1)", "absolute"),
        ("http://example.com/", "https://"),
        ("https://", "host"),
        ("https:///hook", "host"),
        ("https://?x", "host"),
        ("https://:443/", "host"),
        ("https://./", "host"),
        ("https://a..b/", "host"),
        ("https://-a.example/", "host"),
        ("https://a%2eb/", "host"),
        ("https://%31%32%37.0.0.1/", "host"),
        ("https://münchen.de/", "xn--"),
        ("https://①②⑦.0.0.1/", "xn--"),
        ("https://127。0。0。1/", "xn--"),
        (f"https://{'a' * 64}.example/", "host"),
        (f"https://{'a.' * 127}example/", "host"),
        ("https://user@example.com/", "user name"),
        ("https://user:password@example.com/", "user name"),
        ("https://@example.com/", "user name"),
        ("https://example.com@127.0.0.1/", "user name"),
        ("https://example.com:0/", "port 0"),
        ("https://example.com:22/", "port 22"),
        ("https://example.com:25/", "port 25"),
        ("https://example.com:1023/", "port 1023"),
        ("https://example.com:65536/", "65535"),
        ("https://example.com:-1/", "65535"),
        ("https://example.com:http/", "65535"),
        ("https://example.com:80:80/", "65535"),
        ("https://example.com\\@127.0.0.1/", "backslashes"),
        ("https://exa mple.com/", "spaces"),
        (" https://example.com/", "spaces"),
        ("https://example.com/a b", "spaces"),
        ("https://example.com/\r\nHost: x", "spaces"),
        ("https://exam\tple.com/", "spaces"),
        ("https://example.com/\x00", "control"),
        ("https://example.com/\x7f", "control"),
        ("https://example.com/\u2028", "control"),
        ("https://example.com/\u200b", "control"),
        (f"https://example.com/{'a' * 2048}", "2048"),
        ("https://2130706433/", "four decimal"),
        ("https://017700000001/", "four decimal"),
        ("https://0x7f000001/", "four decimal"),
        ("https://0x7f.1/", "four decimal"),
        ("https://0X7F.0.0.1/", "four decimal"),
        ("https://0177.0.0.1/", "four decimal"),
        ("https://127.1/", "four decimal"),
        ("https://127.0.1/", "four decimal"),
        ("https://127.0.0.0x1/", "four decimal"),
        ("https://127.0.0.1./", "four decimal"),
        ("https://1.2.3.4.5/", "four decimal"),
        ("https://256.0.0.1/", "four decimal"),
        ("https://example.1/", "four decimal"),
        ("https://0x/", "four decimal"),
        ("https://[::1/", "cannot be read"),
        ("https://[]/", "cannot be read"),
        ("https://[8.8.8.8]/", "cannot be read"),
        ("https://[v1.a]/", "brackets"),
        ("https://[2606:4700::1111].example.com/", "brackets"),
        ("https://a[2606:4700::1111]/", "brackets"),
    ],
)
def test_a_malformed_url_is_refused(url: str, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason) as caught:
        check_url(url)
    assert [error.loc for error in caught.value.errors] == [("body", "url")]
    assert "password" not in caught.value.message.replace("name or password", "")


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://10.0.0.1:8443/",
        "https://169.254.169.254/latest/meta-data/",
        "https://0.0.0.0/",
        "https://[::1]/",
        "https://[::]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[fd00:ec2::254]/",
        "https://localhost/",
        "https://LOCALHOST:8443/",
        "https://localhost./",
        "https://hooks.localhost/",
    ],
)
def test_a_url_with_a_forbidden_address_is_refused(url: str) -> None:
    with pytest.raises(AddressError):
        check_url(url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000/hook", "http://localhost:9000/hook", "http://[::ffff:127.0.0.1]:9000/hook"]
)
def test_settings_allow_http_and_networks(url: str) -> None:
    assert check_url(url, allow_http=True, allowed=LOOPBACK) == url


@given(st.text())
def test_no_text_crashes_the_check(text: str) -> None:
    for url in (text, f"https://{text}", f"https://{text}/"):
        try:
            check_url(url)
        except (InvalidInputError, AddressError):
            continue


@pytest.mark.parametrize(
    "host",
    ["[fe80::1%25eth0]", "[fe80::1%eth0]", "[::1%25lo]", "[2606:4700::1111%251]", "[::1%]", "[::1%25]:8443"],
)
def test_an_ipv6_zone_is_refused(host: str) -> None:
    """Even if the address is allowed, because a zone has a meaning on one machine only."""
    with pytest.raises(InvalidInputError, match="must not name a zone"):
        check_url(f"https://{host}/", allowed=[ip_network("::/0")])


def test_a_percent_sign_elsewhere_is_not_a_zone() -> None:
    assert check_url("https://[2606:4700::1111]/a%20]b?c=[%25]") == "https://[2606:4700::1111]/a%20]b?c=[%25]"

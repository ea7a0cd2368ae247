from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.delivery.request import DeliveryRequest
from notifier.delivery.message import Origin, message_of, target_of


@pytest.mark.parametrize(
    ("url", "origin", "head"),
    [
        (
            "http://a.example",
            Origin(tls=False, host="a.example", port=80),
            "POST / HTTP/1.1\r\nhost: a.example",
        ),
        (
            "https://A.example:8443/x?y=1#z",
            Origin(tls=True, host="a.example", port=8443),
            "POST /x?y=1 HTTP/1.1\r\nhost: a.example:8443",
        ),
        (
            "http://[2606::1]:80/",
            Origin(tls=False, host="2606::1", port=80),
            "POST / HTTP/1.1\r\nhost: [2606::1]",
        ),
        (
            "https://bücher.example/ä b",
            Origin(tls=True, host="xn--bcher-kva.example", port=443),
            "POST /%C3%A4%20b HTTP/1.1\r\nhost: xn--bcher-kva.example",
        ),
    ],
)
def test_a_url_determines_origin_and_request_head(url: str, origin: Origin, head: str) -> None:
    target = target_of(url)
    assert target.origin == origin
    assert "POST" + target.rest == head


@pytest.mark.parametrize(
    "path",
    [
        "/hook?sp=%2Ftriggers%2Fmanual&sig=a%2Bb%2f%3D",
        "/a/../b/./c//d",
        "/%7Euser/%41?x=%7E&y=a+b%20c",
        "/a;p=1,2/(x)!$'*?q[]=1&r=@:?/",
        "/100%?x=%zz",
        "/a?",
        "//a/.?b=?&;",
    ],
)
def test_path_and_query_are_sent_as_written(path: str) -> None:
    assert "POST" + target_of(f"https://a.example{path}").rest == f"POST {path} HTTP/1.1\r\nhost: a.example"


@given(st.text())
def test_no_path_can_break_the_request_line(path: str) -> None:
    try:
        head = target_of(f"https://a.example/{path}").rest
    except ValueError:
        return
    assert head.isascii()
    assert head.count("\r\n") == 1
    assert head.split("\r\n")[0].count(" ") == 2


@pytest.mark.parametrize(
    "url",
    [
        "",
        "no url",
        "ftp://a.example/",
        "http://",
        "http://a.example:0/",
        "http://a.example:99999/",
        "http://1.2.3/",
        "http://[fe80::1%25eth0]/",
    ],
)
def test_an_unusable_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        target_of(url)


@pytest.mark.parametrize("user_info", ["user:secret@", "user@", ":secret@"])
def test_user_info_is_refused_and_not_repeated(user_info: str) -> None:
    with pytest.raises(ValueError, match="user name or password") as caught:
        target_of(f"http://{user_info}a.example/")
    assert "secret" not in str(caught.value)


def test_head_and_body_are_sent_as_one_message() -> None:
    request = DeliveryRequest("http://a.example/x", {"webhook-id": "evt_1", "x-tab": "a\tb"}, b"{}")
    assert message_of("POST" + target_of(request.url).rest, request) == (
        b"POST /x HTTP/1.1\r\nhost: a.example\r\nwebhook-id: evt_1\r\nx-tab: a\tb\r\naccept: */*\r\n"
        b"content-length: 2\r\n\r\n{}"
    )


def test_a_custom_accept_header_is_kept() -> None:
    request = DeliveryRequest("http://a.example/", {"accept": "text/plain"}, b"")
    assert message_of("POST" + target_of(request.url).rest, request).count(b"accept: ") == 1


@given(
    before=st.text(max_size=5),
    bad=st.sampled_from(["\r", "\n", "\0", "\x0b", "\x7f", "\x85", "\u2028", "é", "\ud800"]),
    after=st.text(max_size=5),
    in_name=st.booleans(),
)
def test_no_header_can_split_a_request(before: str, bad: str, after: str, *, in_name: bool) -> None:
    text = before + bad + after
    headers = {text: "x"} if in_name else {"x": text}
    with pytest.raises(ValueError, match="header"):
        message_of(
            "POST" + target_of("http://a.example/").rest, DeliveryRequest("http://a.example/", headers, b"")
        )


@given(st.text(max_size=60))
def test_no_url_can_split_a_request(text: str) -> None:
    try:
        target = target_of(f"http://a.example/{text}")
    except ValueError:
        return
    line, host = ("POST" + target.rest).split("\r\n")
    assert line.isascii()
    assert line.isprintable()
    assert line.count(" ") == 2
    assert host == "host: a.example"

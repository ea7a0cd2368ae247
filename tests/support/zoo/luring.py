"""Animals that want us to do something: go elsewhere, say who we are, speak another protocol."""

from __future__ import annotations

from tests.support.zoo.cage import House, Visit

LURING = House()

METADATA = b"http://169.254.169.254/latest/meta-data/"


@LURING.animal(301, keeps=True)
async def redirects_to_metadata(visit: Visit) -> None:
    """Sends us to where clouds keep their credentials."""
    while True:
        await visit.request()
        await visit.say(b"HTTP/1.1 301 Moved\r\nlocation: " + METADATA + b"\r\ncontent-length: 0\r\n\r\n")


@LURING.animal(307, keeps=True)
async def redirects_the_post_itself(visit: Visit) -> None:
    """Would have the event, signed, posted to another host."""
    while True:
        await visit.request()
        await visit.say(
            b"HTTP/1.1 307 Over There\r\nlocation: //elsewhere.example/\r\ncontent-length: 0\r\n\r\n"
        )


@LURING.animal(300)
async def redirects_to_nowhere(visit: Visit) -> None:
    """Redirects without a location, or with one that is no URL."""
    await visit.request()
    await visit.say(b"HTTP/1.1 300 Choose\r\nlocation: \x01http://[::\r\ncontent-length: 0\r\n\r\n")
    await visit.hold()


@LURING.animal(200, keeps=True)
async def refreshes_to_a_file(visit: Visit) -> None:
    """Uses what browsers follow beside a location."""
    while True:
        await visit.request()
        await visit.say(
            b'HTTP/1.1 200 OK\r\nrefresh: 0; url=file:///etc/passwd\r\nalt-svc: h2="127.0.0.1:22"\r\n'
            b"content-location: " + METADATA + b"\r\ncontent-length: 0\r\n\r\n"
        )


@LURING.animal(401, keeps=True)
async def asks_for_credentials(visit: Visit) -> None:
    """Wants a password."""
    while True:
        await visit.request()
        await visit.say(b"HTTP/1.1 401 Who\r\nwww-authenticate: Basic\r\ncontent-length: 0\r\n\r\n")


@LURING.animal(407, keeps=True)
async def poses_as_a_proxy(visit: Visit) -> None:
    """Wants the credentials of a proxy that we do not have, so that the failure looks like ours."""
    while True:
        await visit.request()
        await visit.say(b"HTTP/1.1 407 Who\r\nproxy-authenticate: NTLM\r\ncontent-length: 0\r\n\r\n")


@LURING.animal(200, keeps=True)
async def sets_a_cookie(visit: Visit) -> None:
    """Would know us again, and have us carry its session to every endpoint of its host."""
    while True:
        assert b"\r\ncookie:" not in (await visit.request()).lower()
        await visit.say(b"HTTP/1.1 200 OK\r\nset-cookie: a=b; domain=127.0.0.1\r\ncontent-length: 0\r\n\r\n")


@LURING.animal(101)
async def switches_protocols(visit: Visit) -> None:
    """Answers with a protocol that nobody asked for, and speaks it."""
    await visit.request()
    await visit.say(
        b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n\x81\x05hello"
    )
    await visit.hold()


@LURING.animal(101)
async def switches_without_saying_to_what(visit: Visit) -> None:
    """The same without the headers that belong to it, and with an answer behind it."""
    await visit.request()
    await visit.say(b"HTTP/1.1 101 Switching\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    await visit.hold()


@LURING.animal(426, keeps=True)
async def wants_another_protocol(visit: Visit) -> None:
    """Insists on HTTP/2."""
    while True:
        await visit.request()
        await visit.say(
            b"HTTP/1.1 426 Upgrade\r\nupgrade: h2c\r\nconnection: upgrade\r\ncontent-length: 0\r\n\r\n"
        )

"""Whose certificates are believed, and for which names.

OpenSSL lets no wildcard stand for a label with an underscore, so that ``my_app.example.com`` fails under a
certificate for ``*.example.com`` that browsers, curl and Go accept. Underscores are no part of host names
(RFC 1123 section 2.1), but names in DNS may have them (RFC 2181 section 11), people give them to their
receivers, and RFC 6125 section 6.4.3 asks of a wildcard only that it is a whole label. For such names, and
for no others, the name is compared here; everything else about the certificate stays with OpenSSL.
"""

from __future__ import annotations

import ssl
from functools import cached_property
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

_WILDCARD: Final = "*"
_MIN_DOTS: Final = 1
"""Behind a wildcard: ``*.com`` is a certificate for nobody."""


class Trust:
    """What certificates are checked against.

    Args:
        given: A client's context that trusts others than the system does.
    """

    def __init__(self, given: ssl.SSLContext | None) -> None:
        self._given = given
        self._usual = given or _trusting_the_system()

    @cached_property
    def _unnamed(self) -> ssl.SSLContext:
        """Made when the first such name comes: to load the system's certificates takes some 50 ms."""
        context = _trusting_the_same(self._given) if self._given else _trusting_the_system()
        context.check_hostname = False  # `check` does it
        return context

    def context_for(self, name: str) -> ssl.SSLContext:
        """Return the context of a connection to ``name``; :meth:`check` has to follow its handshake."""
        return self._unnamed if "_" in name else self._usual

    def check(self, name: str, transport: asyncio.Transport) -> None:
        """Close ``transport`` unless the certificate at its other end is that of ``name``.

        Raises:
            ssl.SSLCertVerificationError: It is not.
        """
        if "_" not in name:
            return
        certificate = transport.get_extra_info("ssl_object").getpeercert()
        if not is_named(
            name, (value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS")
        ):
            transport.abort()
            text = f"certificate verify failed: Hostname mismatch, certificate is not valid for '{name}'"
            raise ssl.SSLCertVerificationError(1, text)


def is_named(name: str, patterns: Iterable[str]) -> bool:
    """Return whether one of a certificate's names is ``name``, or has a wildcard for its first label."""
    name = name.lower()
    _, dot, above = name.partition(".")
    accepted = {name, f"{_WILDCARD}{dot}{above}"} if above.count(".") >= _MIN_DOTS else {name}
    return any(pattern.lower() in accepted for pattern in patterns)


def _trusting_the_system() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _trusting_the_same(context: ssl.SSLContext) -> ssl.SSLContext:
    roots = b"".join(context.get_ca_certs(binary_form=True))
    return ssl.create_default_context(cadata=roots)

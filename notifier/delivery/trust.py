"""Which certificates are trusted, and for which names.

OpenSSL lets no wildcard match a label with an underscore, so ``my_app.example.com`` fails with a certificate
for ``*.example.com`` that browsers, curl and Go accept. Host names have no underscores (RFC 1123 section
2.1), but DNS names may (RFC 2181 section 11), receivers do have such names, and RFC 6125 section 6.4.3 only
requires a wildcard to be a whole label. For such names, and no others, the name is compared here; OpenSSL
checks everything else about the certificate.
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
"""After a wildcard: ``*.com`` is not a valid certificate name."""


class Trust:
    """What certificates are checked against.

    Args:
        given: A context with its own trusted certificates instead of the system's.
    """

    def __init__(self, given: ssl.SSLContext | None) -> None:
        self._given = given
        self._usual = given or _trusting_the_system()

    @cached_property
    def _unnamed(self) -> ssl.SSLContext:
        """Created for the first such name: loading the system's certificates takes some 50 ms."""
        context = _trusting_the_same(self._given) if self._given else _trusting_the_system()
        context.check_hostname = False  # `check` does it
        return context

    def context_for(self, name: str) -> ssl.SSLContext:
        """Return the context for a connection to ``name``; call :meth:`check` after its handshake."""
        return self._unnamed if "_" in name else self._usual

    def check(self, name: str, transport: asyncio.Transport) -> None:
        """Close ``transport`` unless its peer has a certificate for ``name``.

        Raises:
            ssl.SSLCertVerificationError: It has none.
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
    """Return whether one of a certificate's names matches ``name``, possibly with a leading wildcard."""
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

"""Certificates of all kinds, from our own authority."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DAY = timedelta(days=1)


class Authority:
    """Issues certificates into a folder.

    Attributes:
        trusting: A client's context that trusts this authority and no other.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("authority")
        now = datetime.now(UTC)
        certificate = (
            _builder(self._key, "authority", now - DAY, now + DAY)
            .issuer_name(self._name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self._file = folder / "authority.pem"
        self._file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.trusting = ssl.create_default_context(cafile=str(self._file))

    def server(
        self,
        name: str = "127.0.0.1",
        *,
        days: tuple[int, int] = (-1, 1),
        self_signed: bool = False,
        asks_for_certificate: bool = False,
    ) -> ssl.SSLContext:
        """Return a server's context.

        Args:
            name: The address or host of the certificate.
            days: The start and end of its validity, in days from now.
            self_signed: Whether it is self-signed.
            asks_for_certificate: Whether clients must present one, too.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        certificate = (
            _builder(key, "receiver", now + days[0] * DAY, now + days[1] * DAY)
            .issuer_name(_name("receiver") if self_signed else self._name)
            .add_extension(x509.SubjectAlternativeName([_alternative(name)]), critical=False)
            .sign(key if self_signed else self._key, hashes.SHA256())
        )
        pem = self._folder / "receiver.pem"
        pem.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pem)
        if asks_for_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self._file)
        return context


def _builder(
    key: ec.EllipticCurvePrivateKey, subject: str, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)

"""A certificate authority for tests: policies name https endpoints only, so a test provider has to be one.

It lives in memory. Nothing trusts it but the transport of a router that was given its `detour`, an argument that exists
in code alone.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hybridrt.errors import MissingExtraError

if TYPE_CHECKING:
    from hybridrt.egress.transport import Detour
    from hybridrt.testing.provider import LoopbackProvider

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError:
    raise MissingExtraError("a test authority", extra="signed") from None

# Longer than any test, shorter than any regret.
LIFETIME = timedelta(days=1)


class TestAuthority:
    """Makes certificates for any host and maps hosts to loopback.

    authority = TestAuthority()
    async with LoopbackProvider(tls=authority.server_tls()) as provider:
        detour = authority.detour({"api.openai.com": provider})
    """

    __test__ = False  # pytest collects what is called Test...

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._sign("hybridrt test authority", self._key, ends=LIFETIME, is_authority=True)
        self.ca_pem = self._certificate.public_bytes(serialization.Encoding.PEM)

    def detour(self, hosts: Mapping[str, LoopbackProvider]) -> Detour:
        """What the transport is given so that these hosts lead to these providers, under this authority."""
        from hybridrt.egress.transport import Detour

        return Detour(hosts={host: (provider.host, provider.port) for host, provider in hosts.items()}, ca_pem=self.ca_pem)

    def server_tls(self, *names: str, is_expired: bool = False) -> ssl.SSLContext:
        """The server's side of TLS: for these names, or for whatever name the client asks."""
        context = self._context(names or ("localhost", "127.0.0.1"), is_expired=is_expired)
        if not names:
            made: dict[str, ssl.SSLContext] = {}

            def answer(connection: Any, name: str | None, _: ssl.SSLContext) -> None:
                if name:
                    if name not in made:
                        made[name] = self._context((name,), is_expired=is_expired)
                    connection.context = made[name]

            context.sni_callback = answer
        return context

    def client_tls(self) -> ssl.SSLContext:
        """A client's side of TLS that trusts this authority and nothing else."""
        return ssl.create_default_context(cadata=self.ca_pem.decode())

    def _context(self, names: tuple[str, ...], *, is_expired: bool) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(names[0], key, ends=-LIFETIME if is_expired else LIFETIME, names=names)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # The standard library loads a key from a file alone; this one is readable to its owner and gone at once.
        with TemporaryDirectory() as folder:
            path = Path(folder) / "leaf.pem"
            path.touch(mode=0o600)
            path.write_bytes(
                key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
                + certificate.public_bytes(serialization.Encoding.PEM)
            )
            context.load_cert_chain(path)
        return context

    def _sign(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        *,
        ends: timedelta,
        names: tuple[str, ...] = (),
        is_authority: bool = False,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
        issuer = subject if is_authority else self._certificate.subject
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 3 * LIFETIME)
            .not_valid_after(now + ends)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(_usage(is_authority=is_authority), critical=True)
        )
        if not is_authority:
            builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(each) for each in names]), critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )

"""A certificate authority of the service's own: azure-core sends a token over TLS only, so the Azure front speaks TLS.

The bundle holds certifi's authorities as well: ``REQUESTS_CA_BUNDLE`` replaces the whole list of a process.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_YEARS = datetime.timedelta(days=3650)
_SERVER_DAYS = datetime.timedelta(days=397)  # what browsers accept at most
_RENEW = datetime.timedelta(days=30)
_CERTIFICATE, _KEY, _BUNDLE = "server.pem", "server-key.pem", "ca-bundle.pem"


def ensure(folder: Path) -> tuple[Path, Path, Path]:
    """Certificate, its key, and the bundle of authorities; made when missing or about to expire."""
    paths = (folder / _CERTIFICATE, folder / _KEY, folder / _BUNDLE)
    if not all(path.exists() for path in paths) or _expires(paths[0]):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make(*paths)
    return paths


def _expires(certificate: Path) -> bool:
    from cryptography import x509

    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc - _now() < _RENEW


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _make(certificate: Path, key: Path, bundle: Path) -> None:
    import certifi
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _signed("Seatrial practice authority", authority_key, None, authority_key)
    server = _signed("Seatrial practice", server_key, authority, authority_key)
    descriptor = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    certificate.write_bytes(server.public_bytes(Encoding.PEM))
    bundle.write_bytes(Path(certifi.where()).read_bytes() + b"\n" + authority.public_bytes(Encoding.PEM))


def _signed(name: str, key: EllipticCurvePrivateKey, issuer: x509.Certificate | None, signer: EllipticCurvePrivateKey) -> x509.Certificate:
    """A certificate of ``key``; without an issuer it is the authority's own. The authority's key is not kept."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - datetime.timedelta(hours=1))
        .not_valid_after(_now() + (_SERVER_DAYS if issuer else _YEARS))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if issuer is None:
        builder = builder.add_extension(_usage(authority=True), critical=True)
    else:
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(_usage(authority=False), critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _usage(*, authority: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )

"""What is examined before a certificate, a request or a key may be a participant's: each refusal with its own words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA224, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import Certificate, SubjectAlternativeName, UniformResourceIdentifier

from clearinghub.domain.participants.credential import CredentialForm, CredentialUse
from clearinghub.security.certificates import (
    CLIENT,
    FSP_URI,
    SERVER,
    Authority,
    Subject,
    issue,
    new_authority,
    signing_request,
    spki_id,
)
from clearinghub.security.enrolment import EnrolmentError, examine, read_authorities
from clearinghub.security.key_files import KeyFileError, PublicKey
from tests.unit.security.samples import ec_key, pem_of, rsa_key

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
ALPHA = Subject(FSP_URI + "alphabank")
TLS, AUTHORITY, JWS = CredentialUse.TLS_CLIENT, CredentialUse.TLS_SERVER_CA, CredentialUse.JWS
SCHEME = new_authority("Scheme CA", 3_650, NOW)
OTHER = new_authority("Other CA", 3_650, NOW)
SMALL = rsa.generate_private_key(65_537, 1024)


def text(certificate: Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def issued(
    authority: Authority = SCHEME,
    key: PublicKey | None = None,
    subject: Subject = ALPHA,
    usages: Sequence[Any] = (CLIENT,),
    now: datetime = NOW,
) -> str:
    return text(issue(authority, key or ec_key().public_key(), subject, list(usages), 365, now))


def self_signed(*extensions: tuple[x509.ExtensionType, bool], algorithm: Any = None) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "alphabank")])
    builder = x509.CertificateBuilder(name, name, rsa_key().public_key(), 7, NOW, NOW + timedelta(days=90))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return text(builder.sign(rsa_key(), algorithm or SHA256()))


def usage(**which: bool) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    others = ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: which.get(name, False) for name in (*names, *others)})


def reason(pem: str, use: CredentialUse, authorities: Sequence[Certificate] = (SCHEME.certificate,)) -> str:
    with pytest.raises(EnrolmentError) as raised:
        examine(pem, use, "alphabank", authorities, NOW)
    assert len(str(raised.value)) <= 100, "with the text of the error it is cut after 128 characters"
    return str(raised.value)


def test_a_certificate_of_the_scheme() -> None:
    facts = examine(issued(), TLS, "alphabank", [OTHER.certificate, SCHEME.certificate], NOW)

    assert (spki_id(ec_key().public_key()), TLS, CredentialForm.CERTIFICATE) == (
        facts.credential_id,
        facts.use,
        facts.form,
    )
    begin, end = NOW - timedelta(minutes=5), NOW + timedelta(days=365)
    assert (begin.timestamp() * 1000, end.timestamp() * 1000) == (facts.not_before_ms, facts.not_after_ms)


def test_what_is_kept_is_the_certificate_alone() -> None:
    facts = examine(f"Subject: alphabank\n{issued()}\n# a note", TLS, "alphabank", (), NOW)

    assert facts.pem.startswith("-----BEGIN CERTIFICATE-----")
    assert "note" not in facts.pem
    assert "Subject" not in facts.pem


@pytest.mark.parametrize(
    "key", [rsa_key(), ec_key(), ec.generate_private_key(ec.SECP384R1())], ids=["RSA", "P256", "P384"]
)
def test_a_request_has_no_dates_yet(key: Any) -> None:
    facts = examine(signing_request(key, ALPHA).decode(), TLS, "alphabank", [SCHEME.certificate], NOW)

    assert (CredentialForm.REQUEST, None, None) == (facts.form, facts.not_before_ms, facts.not_after_ms)
    assert spki_id(key.public_key()) == facts.credential_id


def test_a_bare_key_may_sign_messages() -> None:
    facts = examine(pem_of(ec_key()).decode(), JWS, "alphabank", [SCHEME.certificate], NOW)

    assert (CredentialForm.KEY, pem_of(ec_key()).decode()) == (facts.form, facts.pem)


def test_a_bare_key_is_refused_where_certificates_are_required() -> None:
    with pytest.raises(EnrolmentError, match="a key cannot be used as jws"):
        examine(pem_of(ec_key()).decode(), JWS, "alphabank", (), NOW, needs_certificate=True)
    for pem in (issued(), signing_request(ec_key(), ALPHA).decode()):
        assert examine(pem, JWS, "alphabank", (), NOW, needs_certificate=True).use is JWS


def test_without_authorities_anybody_may_issue() -> None:
    assert examine(self_signed(), TLS, "alphabank", (), NOW).form is CredentialForm.CERTIFICATE


def test_an_authority_of_the_participants_servers() -> None:
    facts = examine(text(OTHER.certificate), AUTHORITY, "alphabank", [SCHEME.certificate], NOW)

    assert (AUTHORITY, CredentialForm.CERTIFICATE) == (facts.use, facts.form)


def forged_request() -> str:
    """A request whose signature is that of another request of the same key."""
    one = x509.load_pem_x509_csr(signing_request(rsa_key(), ALPHA))
    other = x509.load_pem_x509_csr(signing_request(rsa_key(), Subject(FSP_URI + "other")))
    content = one.public_bytes(Encoding.DER).replace(one.signature, other.signature)
    return x509.load_der_x509_csr(content).public_bytes(Encoding.PEM).decode()


PRIVATE = ec_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
REFUSED: list[tuple[str, str, CredentialUse]] = [
    ("pem must be one certificate, one request or one public key", "", TLS),
    ("pem must be one certificate, one request or one public key", issued() + issued(), TLS),
    ("pem must be one certificate, one request or one public key", pem_of(ec_key()).decode() * 2, JWS),
    ("pem must be text in PEM of at most 16384 characters", "x" * 16_385, TLS),
    ("pem must be text in PEM of at most 16384 characters", "é", TLS),
    ("pem holds a private key, which is no secret any more; make a new one", PRIVATE, JWS),
    ("pem holds a private key, which is no secret any more; make a new one", issued() + PRIVATE, TLS),
    ("a key cannot be used as tls-client", pem_of(ec_key()).decode(), TLS),
    ("a request cannot be used as tls-server-ca", signing_request(ec_key(), ALPHA).decode(), AUTHORITY),
    ("pem is no certificate that can be read", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", TLS),
    ("pem is no key that can be read", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", JWS),
    ("pem is no certificate that can be read", "-----BEGIN CERTIFICATE-----", TLS),
    ("the request is not signed with the key that it asks for", forged_request(), TLS),
    (
        "it names another participant than urn:fspiop:fsp:alphabank",
        signing_request(ec_key(), Subject(FSP_URI + "betabank")).decode(),
        TLS,
    ),
    ("it names another participant than urn:fspiop:fsp:alphabank", issued(subject=Subject(FSP_URI + "beta")), TLS),
    ("it names another participant than urn:fspiop:fsp:alphabank", issued(subject=Subject("URN:FSPIOP:FSP:x")), TLS),
    (
        "the key may not be used: an RSA key of 1024 bits; 2048 to 8192 are accepted",
        issued(key=SMALL.public_key()),
        TLS,
    ),
    ("the key may not be used: RSA key of 1024 bits, at least 2048 are needed", pem_of(SMALL).decode(), JWS),
    (
        "the key may not be used: curve secp384r1, only P-256 is taken",
        pem_of(ec.generate_private_key(ec.SECP384R1())).decode(),
        JWS,
    ),
    (
        "the key may not be used: curve secp521r1; P-256 and P-384 are accepted",
        issued(key=ec.generate_private_key(ec.SECP521R1()).public_key()),
        TLS,
    ),
    ("the certificate ended on 2026-11-20", issued(now=NOW - timedelta(days=375)), TLS),
    ("the certificate is not issued by an authority of the scheme", issued(OTHER), TLS),
    ("the certificate is not issued by an authority of the scheme", issued(OTHER), JWS),
    ("the certificate is not issued by an authority of the scheme", self_signed(), TLS),
    (
        "the certificate is an authority's (CA), which must not be a participant's key",
        text(SCHEME.certificate),
        TLS,
    ),
    ("the certificate is not an authority's (CA)", issued(), AUTHORITY),
    ("the certificate's ExtendedKeyUsage has no clientAuth", issued(usages=[SERVER]), TLS),
    (
        "the certificate's KeyUsage has no digitalSignature",
        self_signed((usage(key_encipherment=True), True)),
        TLS,
    ),
    ("the certificate is not signed with SHA-256, SHA-384 or SHA-512", self_signed(algorithm=SHA224()), TLS),
]


@pytest.mark.parametrize(("sentence", "pem", "use"), REFUSED, ids=[f"{one[2].value}: {one[0]}" for one in REFUSED])
def test_what_is_refused(sentence: str, pem: str, use: CredentialUse) -> None:
    assert sentence == reason(pem, use)


def test_a_key_of_another_kind() -> None:
    key = ed25519.Ed25519PrivateKey.generate().public_key()

    assert "neither an RSA key" in reason(pem_of(key).decode(), JWS)  # type: ignore[arg-type]


def test_an_authority_that_has_ended_issues_nothing() -> None:
    name = SCHEME.certificate.subject
    begin, end = NOW - timedelta(days=60), NOW - timedelta(days=30)
    builder = x509.CertificateBuilder(name, name, SCHEME.key.public_key(), 7, begin, end)
    stale = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True).sign(SCHEME.key, SHA256())

    assert "the certificate is not issued by an authority of the scheme" == reason(issued(), TLS, [stale])


def test_a_participants_certificate_issues_nothing() -> None:
    """One that is no authority, although its key has signed the certificate of another."""
    holder = x509.load_pem_x509_certificate(issued(key=ec_key(3).public_key()).encode())
    by_holder = issued(Authority(holder, ec_key(3)))

    assert "the certificate is not issued by an authority of the scheme" == reason(by_holder, TLS, [holder])


def test_a_signature_may_have_a_certificate_for_content_commitment() -> None:
    pem = self_signed((usage(content_commitment=True), True))

    assert examine(pem, JWS, "alphabank", (), NOW).form is CredentialForm.CERTIFICATE
    assert "the certificate's KeyUsage has no digitalSignature" == reason(pem, TLS, ())


def test_names_of_other_kinds_say_nothing() -> None:
    names = SubjectAlternativeName([x509.DNSName("alphabank.example"), UniformResourceIdentifier("https://a.example")])

    assert examine(self_signed((names, False)), TLS, "alphabank", (), NOW).form is CredentialForm.CERTIFICATE


def test_authorities_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "scheme-ca.pem"
    path.write_text(text(SCHEME.certificate) + text(OTHER.certificate))
    assert 2 == len(read_authorities(path))

    path.write_text("nothing")
    with pytest.raises(KeyFileError, match="no certificates in PEM"):
        read_authorities(path)
    with pytest.raises(KeyFileError, match="No such file"):
        read_authorities(tmp_path / "other.pem")

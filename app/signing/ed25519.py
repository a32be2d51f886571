"""Ed25519 keys as text, and what identifies one (RFC 8032, RFC 8410)."""

import hashlib
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

LONGEST_PEM_BYTES: Final = 4096
"""A key takes some 120."""


class BadKey(ValueError):
    """It is no Ed25519 key in PEM. The message says what it is instead."""


def fingerprint(key: Ed25519PublicKey) -> str:
    """The SHA-256, hexadecimal, of its SubjectPublicKeyInfo in DER: what
    ``openssl pkey -pubin -outform DER | sha256sum`` prints."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def public_pem(key: Ed25519PublicKey) -> str:
    """The public key as PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem(key: Ed25519PrivateKey) -> bytes:
    """The private key as PEM (PKCS #8), not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read_public(pem: bytes) -> Ed25519PublicKey:
    """The public key in a PEM file.

    Raises:
        BadKey: it holds something else.
    """
    try:
        key = load_pem_public_key(pem[: LONGEST_PEM_BYTES + 1])
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey("no public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadKey("a public key of another algorithm than Ed25519")
    return key


def read_private(pem: bytes) -> Ed25519PrivateKey:
    """The private key in a PEM file.

    Raises:
        BadKey: it holds something else, or is encrypted.
    """
    try:
        key = load_pem_private_key(pem[: LONGEST_PEM_BYTES + 1], password=None)
    except TypeError as error:
        raise BadKey("encrypted with a passphrase") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadKey("no private key in PEM (PKCS #8)") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKey("a private key of another algorithm than Ed25519")
    return key

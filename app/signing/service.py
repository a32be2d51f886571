"""What the service signs, and with which keys."""

import base64
from dataclasses import dataclass
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.errors import ServalError
from app.signing.ed25519 import fingerprint, public_pem
from app.signing.key_store import KeyStore
from app.signing.schemas import Kind, Signature, SigningKey, SigningKeys
from app.signing.signatures import measured, sign, to_bytes

log = structlog.get_logger("serval.signing")

HEADER: Final = "Serval-Signature"
"""Of an answer that is signed: the whole document of the signature, in base64."""


@dataclass(frozen=True)
class Written:
    """A report of an audit in one of its forms: what is answered, byte for byte."""

    audit: str
    kind: Kind
    content: bytes


def sign_written(store: KeyStore, written: Written) -> Signature:
    """Its signature.

    Raises:
        ServalError, OSError: the key cannot be had.
    """
    part = measured(f"report.{written.kind}", written.content)
    return sign(store.current(), written.kind, written.audit, [part])


def signed_headers(store: KeyStore, written: Written) -> dict[str, str]:
    """The header that carries the signature of what is answered beside it: no other request can
    come in between, after which both would not fit.

    Nobody loses a report over a key: if that cannot be had the header is missing, the log says why,
    and who asks for the signature is told.
    """
    try:
        document = to_bytes(sign_written(store, written))
    except (ServalError, OSError) as error:
        log.error("a report is not signed", audit=written.audit, reason=str(error))
        return {}
    return {HEADER: base64.b64encode(document).decode()}


def signing_keys(store: KeyStore) -> SigningKeys:
    """The key that signs, and those before it.

    Raises:
        ServalError, OSError: they cannot be had.
    """
    current = store.current().public_key()
    name = fingerprint(current)
    earlier = [_told(key) for other, key in store.known().items() if other != name]
    return SigningKeys(current=_told(current), earlier=earlier)


def _told(key: Ed25519PublicKey) -> SigningKey:
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    return SigningKey(
        fingerprint=fingerprint(key),
        pem=public_pem(key),
        jwk={"kty": "OKP", "crv": "Ed25519", "x": x},
    )

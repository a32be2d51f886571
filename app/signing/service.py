"""What the service signs, and with which keys."""

import base64
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


def sign_file(store: KeyStore, kind: Kind, audit: str, name: str, content: bytes) -> Signature:
    """The signature of a report in one of its forms.

    Args:
        name: of the file, such as ``report.json``.
        content: what is answered, byte for byte.

    Raises:
        ServalError, OSError: the key cannot be had.
    """
    return sign(store.current(), kind, audit, [measured(name, content)])


def signed_headers(
    store: KeyStore, kind: Kind, audit: str, name: str, content: bytes
) -> dict[str, str]:
    """The header that carries the signature of what is answered beside it: no other request can
    come in between, after which both would not fit.

    Nobody loses a report over a key: if that cannot be had the header is missing, the log says why,
    and who asks for the signature is told.
    """
    try:
        document = to_bytes(sign_file(store, kind, audit, name, content))
    except (ServalError, OSError) as error:
        log.error("a report is not signed", audit=audit, reason=str(error))
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

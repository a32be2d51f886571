"""Signs bytes, and says whether bytes are those that were signed. Needs no service.

All hashes make one digest, and the key signs that. The same document serves a report of any form,
beside it as ``FILE.sig``, and a bundle, inside it as ``signature.json``: a file that is signed
stays byte for byte what it is without a signature, and whoever can read JSON and has Ed25519 can
check it without us.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from app.signing.ed25519 import BadKey, fingerprint, public_pem, read_public
from app.signing.schemas import FORMAT, Kind, Part, Signature, Signed

MOST_BYTES: Final = 16 * 1024 * 1024
"""Of a signature's document: that of a bundle of 65,000 parts takes 12 MiB."""
SIGNATURE: Final = "signature"
"""What a fault of the signature itself is told of, in place of a part."""

DOES_NOT_SAY: Final = (
    "A signature says that a service which holds the key handed out these bytes, and that none has"
    " changed since. It does not say that the figures are right: with the replay bundle anybody may"
    " compute them again. It does not say that the model is robust or the evidence sound: that is"
    " what the report is about. It does not say when: behind a date stands the service's own clock"
    " alone. It does not say who runs the service, nor that labels, speakers and the origin of the"
    " recordings are what its owner was told. And to a reader who does not know the key it says"
    " nothing: compare its fingerprint with one that you got another way."
)
"""Stands in every report, and in docs/signatures.md."""


def measured(name: str, content: bytes) -> Part:
    """These bytes as a part."""
    return Part(name=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def measured_file(name: str, path: Path) -> Part:
    """The bytes of a file as a part.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Part(name=name, bytes=file.tell(), sha256=digest)


def sign(key: Ed25519PrivateKey, kind: Kind, audit: str, parts: Sequence[Part]) -> Signature:
    """The signature of the parts. The same key and parts give the same bytes.

    Args:
        audit: id of the audit that they are of.
    """
    signed = Signed(kind=kind, audit=audit, parts=list(parts))
    digest = digest_of(signed)
    public = key.public_key()
    return Signature(
        **signed.model_dump(),
        digest=digest,
        key=fingerprint(public),
        public_key=public_pem(public),
        signature=base64.b64encode(key.sign(message(digest))).decode(),
    )


def to_bytes(signature: Signature) -> bytes:
    """The document."""
    return signature.model_dump_json(indent=1).encode() + b"\n"


def digest_of(signed: Signed) -> str:
    """One SHA-256 over all hashes."""
    fields = signed.model_dump(include=set(Signed.model_fields))
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def message(digest: str) -> bytes:
    """What the key signs. It begins with what it is, so that no other use of the key gives it."""
    return f"{FORMAT}\n{digest}\n".encode("ascii")


@dataclass(frozen=True)
class Fault:
    """Something that is not as it was signed.

    Attributes:
        part: name of the part, or :data:`SIGNATURE`.
        why: in a few words.
    """

    part: str
    why: str


@dataclass(frozen=True)
class Verdict:
    """Whether bytes are those that were signed.

    Attributes:
        signature: as far as it can be read.
        faults: none if nothing has changed.
        trusted: whether the key is one that was named as known; None if none was named.
    """

    signature: Signature | None
    faults: tuple[Fault, ...]
    trusted: bool | None


def verify(document: bytes, found: Sequence[Part], known: Collection[str] = ()) -> Verdict:
    """Hold parts against a signature.

    Args:
        document: the signature; hostile bytes are fine.
        found: all parts that there are.
        known: fingerprints of keys that the caller knows.
    """
    try:
        signature = Signature.model_validate_json(document[: MOST_BYTES + 1])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        why = f"cannot be read: {where + ': ' if where else ''}{first['msg']}"
        return Verdict(None, (Fault(SIGNATURE, why),), None)
    if digest_of(signature) == signature.digest:
        faults = [*_about_parts(signature.parts, found), *_about_signature(signature, document)]
    else:  # what it says of the parts is not what was signed
        faults = [Fault(SIGNATURE, "its digest is not that of its parts")]
    trusted = signature.key in known if known else None
    return Verdict(signature, tuple(faults), trusted)


def _about_parts(signed: Sequence[Part], found: Sequence[Part]) -> list[Fault]:
    faults = []
    there = {part.name: part for part in found}
    for part in signed:
        other = there.pop(part.name, None)
        if other is None:
            faults.append(Fault(part.name, "is missing"))
        elif other.bytes != part.bytes:
            faults.append(Fault(part.name, f"has {other.bytes} bytes, not {part.bytes}"))
        elif other.sha256 != part.sha256:
            faults.append(Fault(part.name, "has other bytes than were signed"))
    faults += [Fault(name, "was not signed") for name in there]
    if len({part.name for part in signed}) < len(signed):
        faults.append(Fault(SIGNATURE, "names a part twice"))
    return faults


def _about_signature(signature: Signature, document: bytes) -> list[Fault]:
    try:
        key = read_public(signature.public_key.encode())
        value = base64.b64decode(signature.signature, validate=True)
    except (BadKey, binascii.Error, ValueError) as error:
        return [Fault(SIGNATURE, f"its key or value cannot be read: {error}")]
    if fingerprint(key) != signature.key:
        return [Fault(SIGNATURE, "its fingerprint is not that of its key")]
    try:
        key.verify(value, message(signature.digest))
    except InvalidSignature:
        return [
            Fault(
                SIGNATURE,
                f"key {signature.key} did not sign this digest: who made it had not the key",
            )
        ]
    same = {
        "public_key": public_pem(key),
        "signature": base64.b64encode(value).decode(),
    }
    # White space, order, or another spelling of the same: PEM and base64 have several.
    if to_bytes(signature.model_copy(update=same)) != document:
        return [Fault(SIGNATURE, "its document was written anew since")]
    return []

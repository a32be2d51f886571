"""What a signature and a signing key look like."""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from app.schemas import Schema

FORMAT: Final = "serval-signature-1"
MOST_PARTS: Final = 65_000

Kind = Literal["json", "html", "pdf", "bundle"]
"""What is signed: a report in one of its forms, or a replay bundle."""

Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class Part(Schema):
    """Something whose bytes are signed: a report is one part, a bundle has many."""

    name: str = Field(min_length=1, max_length=100, examples=["report.json"])
    bytes: int = Field(ge=0, examples=[48213])
    sha256: Sha256


class Signed(Schema):
    """What a digest is made of."""

    format: Literal["serval-signature-1"] = "serval-signature-1"
    kind: Kind
    audit: str = Field(max_length=64, examples=["audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    parts: list[Part] = Field(min_length=1, max_length=MOST_PARTS)


class Signature(Signed):
    """A detached signature: who vouches for the bytes of the parts. Keep its bytes as they came:
    `serval verify` refuses them when one has changed, here too."""

    digest: Sha256 = Field(
        description="SHA-256 of the four fields above, as JSON with sorted names, without white"
        " space, in ASCII."
    )
    algorithm: Literal["ed25519"] = "ed25519"
    key: Sha256 = Field(
        description="Fingerprint: the SHA-256 of the public key's SubjectPublicKeyInfo in DER."
    )
    public_key: str = Field(
        max_length=300,
        description="In PEM. It comes with what it signed, so it proves nothing by itself: compare"
        " the fingerprint with one that you got elsewhere.",
    )
    signature: str = Field(
        max_length=100,
        description="Base64, over the text `serval-signature-1`, a line feed, the digest, a line"
        " feed.",
    )


class SigningKey(Schema):
    """A public key that the installation signs with, or has signed with."""

    fingerprint: Sha256
    algorithm: Literal["ed25519"] = "ed25519"
    pem: str
    jwk: dict[str, str] = Field(
        description="RFC 8037.",
        examples=[{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrw"}],
    )


class SigningKeys(Schema):
    """With what the installation signs."""

    object: Literal["signing_keys"] = "signing_keys"
    current: SigningKey
    earlier: list[SigningKey] = Field(
        description="Those before it, which sign nothing any more. What they signed can still be"
        " verified."
    )

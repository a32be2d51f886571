"""A bundle as it is handed out: measured first, then streamed, and never made twice differently."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.errors import Conflict
from app.replay.container import (
    BLOCK,
    MOST_BYTES,
    MOST_ENTRIES,
    Entry,
    after,
    before,
    crc32,
    length,
)
from app.replay.names import SIGNATURE
from app.signing.schemas import Part
from app.signing.signatures import sign, to_bytes

Content = bytes | Path


@dataclass(frozen=True)
class Piece:
    """A file of a bundle, measured."""

    entry: Entry
    sha256: str
    content: Content

    @classmethod
    def of(cls, name: str, content: Content) -> "Piece":
        """Measure it.

        Raises:
            OSError: it cannot be read.
        """
        digest, checksum, size = hashlib.sha256(), 0, 0
        for block in _blocks(content):
            digest.update(block)
            checksum = crc32(block, checksum)
            size += len(block)
        return cls(Entry(name, size, checksum), digest.hexdigest(), content)


@dataclass(frozen=True)
class Bundle:
    """A bundle that can be streamed.

    Attributes:
        pieces: the signature last.
        tag: changes when a byte of it does.
    """

    pieces: Sequence[Piece]
    tag: str

    @property
    def size(self) -> int:
        """Bytes of it."""
        return length([piece.entry for piece in self.pieces])

    def blocks(self) -> Iterator[bytes]:
        """All of its bytes.

        Raises:
            OSError, RuntimeError: a file went, or changed, since it was measured: the client gets
                fewer bytes than it was told.
        """
        for piece in self.pieces:
            yield before(piece.entry)
            sent = 0
            for block in _blocks(piece.content):
                sent += len(block)
                yield block
            if sent != piece.entry.size:
                raise RuntimeError(f"{piece.entry.name} changed while it was sent")
        yield after([piece.entry for piece in self.pieces])


def signed(key: Ed25519PrivateKey, audit: str, pieces: Sequence[Piece]) -> Bundle:
    """The bundle of these pieces, with their signature.

    Raises:
        Conflict: it is larger than a zip may be (code ``bundle_too_large``).
    """
    parts = [Part(name=one.entry.name, bytes=one.entry.size, sha256=one.sha256) for one in pieces]
    if len(parts) >= MOST_ENTRIES or sum(part.bytes for part in parts) > MOST_BYTES:
        raise Conflict(
            f"The bundle would have {len(parts)} files and {sum(part.bytes for part in parts)}"
            f" bytes, more than {MOST_ENTRIES} or {MOST_BYTES}. Leave audio out: whoever replays it"
            " gives the corpus (serval replay BUNDLE --corpus FOLDER).",
            code="bundle_too_large",
        )
    signature = sign(key, "bundle", audit, parts)
    made = Piece.of(SIGNATURE, to_bytes(signature))
    return Bundle([*pieces, made], made.sha256)


def _blocks(content: Content) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as file:
        while block := file.read(BLOCK):
            yield block

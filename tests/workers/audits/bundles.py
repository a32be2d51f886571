"""Bundles in tests: fetched, opened with another library than ours, and forged."""

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient

from app.replay.making import Piece, signed
from app.signing.schemas import Signature

FORGER = Ed25519PrivateKey.from_private_bytes(b"a forger's own key, of 32 bytes.")


@dataclass(frozen=True)
class Said:
    """How a command ended and what it printed."""

    status: int
    out: str
    err: str


Serval = Callable[..., Said]
"""Runs the command line in this process."""


def fetched(client: TestClient, audit: str, folder: Path, **query: object) -> Path:
    """The bundle of an audit, saved."""
    params = {name: str(value).lower() for name, value in query.items()}
    answer = client.get(f"/v1/audits/{audit}/bundle", params=params)
    assert answer.status_code == 200, answer.text
    path = folder / f"{audit}.zip"
    path.write_bytes(answer.content)
    return path


def unpacked(path: Path) -> dict[str, bytes]:
    """What is in a bundle, by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def forged(
    path: Path, changes: Mapping[str, bytes | None], key: Ed25519PrivateKey = FORGER
) -> Path:
    """A bundle with other files, signed anew: whoever signs may say what they like.

    Args:
        changes: contents by name; None leaves a file out.
    """
    files = unpacked(path)
    audit = Signature.model_validate_json(files.pop("signature.json")).audit
    contents = {**files, **changes}
    pieces = [Piece.of(name, text) for name, text in contents.items() if text is not None]
    made = path.with_name("forged.zip")
    made.write_bytes(b"".join(signed(key, audit, pieces).blocks()))
    return made

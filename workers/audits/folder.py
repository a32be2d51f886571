"""The folder of an audit's artifacts while they are made."""

import hashlib
from pathlib import Path

from app.audits import files


class Folder:
    """Files as they are made, with what is told of each.

    Attributes:
        made: all of them, in their order.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir()
        self._path = path
        self.made: list[files.ArtifactFile] = []

    def add(self, name: str, content: bytes, description: str, stoi: float | None = None) -> None:
        """Write a file."""
        (self._path / name).write_bytes(content)
        self.made.append(
            files.ArtifactFile(
                name=name,
                media_type=files.MEDIA_TYPES[Path(name).suffix],
                description=description,
                bytes=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                stoi=stoi,
            )
        )

    def read(self, name: str) -> bytes:
        """A file that was written."""
        return (self._path / name).read_bytes()

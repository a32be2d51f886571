"""A zip archive from outside, read entry by entry and bounded; its names never become paths.

What is hostile is refused whole: names that leave the archive, links, two entries of one name,
encryption, unusual compression, and more entries or bytes than allowed, which are counted while
reading and not believed from the header. What is merely of no use (a text, a picture, an archive
inside the archive) is left out and named.
"""

import io
import stat
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import TracebackType
from typing import BinaryIO, Final

from app.errors import Invalid, shown
from models.corpus import INDEX_NAME
from models.corpus.dialect import plain_path
from models.corpus.index import MAX_INDEX_BYTES
from models.corpus.labels import is_audio
from models.corpus.manifest import Skipped, path_fault

MIB: Final = 1024 * 1024
CHUNK_BYTES: Final = 64 * 1024
# An entry of the directory takes 46 bytes and its name and times: some 130 for a corpus' clip.
DIRECTORY_BYTES_PER_ENTRY: Final = 200
# Where `zipfile` looks for the directory's end, which a comment of up to 64 KiB may follow.
END_BYTES: Final = 128 * 1024
# Speech shrinks to a half or a third, digital silence to a thousandth. A bomb is nothing else.
MOST_RATIO: Final = 100
RATIO_COUNTS_FROM: Final = 64 * MIB
# zlib's window is 32 KiB; the dictionary of LZMA is as large as the archive says, up to 4 GiB.
COMPRESSIONS: Final = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
UTF8_FLAG: Final = 0x800
ARCHIVES: Final = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"}
# What `zipfile` raises on damaged archives, apart from its own error.
DAMAGE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much an archive may hold.

    Attributes:
        entries: files and folders, those that are not used included.
        unpacked_bytes: of all that is read.
        clip_bytes: of one clip; a larger one is left out.
    """

    entries: int
    unpacked_bytes: int
    clip_bytes: int


class Archive:
    """The files of a corpus, by their names relative to its folder.

    Attributes:
        names: `index.csv`, if there is one, and the audio files, in the archive's order.
        skipped: the other files, and why each is left out.
    """

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        """Read the directory.

        Args:
            file: the archive, seekable; not closed here.
            limits: see there.

        Raises:
            Invalid: it is no zip archive, or one that is refused.
        """
        self._limits = limits
        self._size = _size(file)
        self._unpacked = 0
        directory = limits.entries * DIRECTORY_BYTES_PER_ENTRY
        with _damage_is_invalid():
            self._zip = zipfile.ZipFile(_BriefReader(file, directory))
            entries = self._zip.infolist()
        _check_entries(entries, limits)
        self.skipped: list[Skipped] = []
        self._entries = _relative(self._useful(_named(entries)))

    def __enter__(self) -> "Archive":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()

    @property
    def names(self) -> list[str]:
        return list(self._entries)

    def read(self, name: str, look: Callable[[], None] | None = None) -> bytes:
        """The content of the entry, whole.

        Args:
            name: of the entry.
            look: called after each block of 64 KiB; what it raises ends the reading.

        Raises:
            KeyError: there is no such entry in `names`.
            Invalid: it is damaged, or the archive unpacks to more than it may.
        """
        content = io.BytesIO()
        with closing(self._blocks(name)) as blocks:
            for block in blocks:
                if look is not None:
                    look()
                self._count(len(block))
                content.write(block)
        return content.getvalue()

    def _blocks(self, name: str) -> Generator[bytes]:
        entry = self._entries[name]
        with _damage_is_invalid(name), self._zip.open(entry) as stream:
            while block := stream.read(CHUNK_BYTES):
                yield block

    def _count(self, unpacked: int) -> None:
        self._unpacked += unpacked
        if self._unpacked > self._limits.unpacked_bytes:
            raise Invalid(
                f"The archive unpacks to more than {self._limits.unpacked_bytes} bytes."
                " Split the corpus.",
                code="archive_too_large",
            )
        if self._unpacked > max(RATIO_COUNTS_FROM, MOST_RATIO * self._size):
            raise Invalid(
                f"The archive of {self._size} bytes unpacks to more than {MOST_RATIO} times that,"
                " which no speech does. Leave out files of silence.",
                code="zip_bomb",
            )

    def _useful(
        self, entries: Mapping[str, zipfile.ZipInfo]
    ) -> Iterator[tuple[str, zipfile.ZipInfo]]:
        for name, entry in entries.items():
            if name.endswith("/"):  # as `is_dir` says, which fails on an entry without a name
                continue
            fault = _useless(name) or self._too_large(entry)
            if fault is None:
                yield name, entry
            else:
                code, reason = fault
                self.skipped.append(Skipped(shown(name).strip("'\""), reason, code))

    def _too_large(self, entry: zipfile.ZipInfo) -> tuple[str, str] | None:
        """Trusts the header, which `zipfile` holds the entry to: it reads no byte more."""
        most = MAX_INDEX_BYTES if _meant(entry).endswith(INDEX_NAME) else self._limits.clip_bytes
        if entry.file_size <= most:
            return None
        return "too_large", f"{entry.file_size} bytes; a clip may have {most}"


class _BriefReader(io.RawIOBase):
    """The archive's file, which refuses to give more than ``most`` bytes at once.

    `zipfile` reads the directory in one piece, as long as the archive says, and makes an object of
    every entry before anybody can count them.
    """

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file = file
        self._most = max(most, END_BYTES)

    def read(self, size: int = -1, /) -> bytes:
        if size > self._most:
            raise zipfile.BadZipFile(f"its directory takes {size} bytes, more than {self._most}")
        return self._file.read(self._most if size < 0 else size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


@contextmanager
def _damage_is_invalid(name: str | None = None) -> Iterator[None]:
    """Whatever `zipfile` says of a damaged archive, as an error of the request."""
    try:
        yield
    except DAMAGE as error:
        if name is None:
            what, code = "The file is not a zip archive that can be read", "not_a_zip"
        else:
            what, code = f"The archive's entry {shown(name)} is damaged", "archive_damaged"
        raise Invalid(
            f"{what}: {str(error)[:120] or type(error).__name__}. Pack it again as a plain zip.",
            code=code,
        ) from error


def _size(file: BinaryIO) -> int:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    return size


def _check_entries(entries: list[zipfile.ZipInfo], limits: Limits) -> None:
    """Refuse the archive for what its directory says."""
    if len(entries) > limits.entries:
        raise Invalid(
            f"The archive has {len(entries)} entries, more than {limits.entries}."
            " Split the corpus.",
            code="archive_too_large",
        )
    for entry in entries:
        fault = _hostile(entry)
        if fault is not None:
            code, message = fault
            raise Invalid(f"The archive's entry {shown(entry.filename)} {message}", code=code)


def _named(entries: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """The entries by the names that their packers meant.

    Raises:
        Invalid: two have the same.
    """
    names = [_meant(entry) for entry in entries]
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise Invalid(
            f"The archive has several entries of the name {shown(twice[0])}. Keep one.",
            code="duplicate_entry",
        )
    return dict(zip(names, entries, strict=True))


def _meant(entry: zipfile.ZipInfo) -> str:
    """The name of an entry: `zipfile` takes one without the flag of UTF-8 for code page 437."""
    name = entry.filename
    if not entry.flag_bits & UTF8_FLAG and not name.isascii():
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:  # it is of another code page, and stays as it is
            name = entry.filename
    return unicodedata.normalize("NFC", plain_path(name))


def _hostile(entry: zipfile.ZipInfo) -> tuple[str, str] | None:
    """Why the archive is refused for this entry: code and message."""
    plain = _meant(entry)
    if plain.startswith("/") or ".." in plain.split("/") or plain[1:2] == ":":
        return "unsafe_path", "leaves the archive. Pack the corpus' folder from inside."
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return "unsafe_path", "is a link or a device. Pack the files themselves."
    if entry.flag_bits & 0x1:
        return "encrypted", "is encrypted. Pack it without a password."
    if entry.compress_type not in COMPRESSIONS:
        return (
            "unsupported_compression",
            f"is compressed by method {entry.compress_type}. Pack it as a plain zip (deflate).",
        )
    return None


def _useless(name: str) -> tuple[str, str] | None:
    """Why the file is left out, code and reason; None when it is audio or the index."""
    path = PurePosixPath(name)
    if "__MACOSX" in path.parts or path.name.startswith("._"):
        return "macos_metadata", "metadata of macOS"
    if path.suffix.lower() in ARCHIVES:
        return "nested_archive", "an archive inside the archive is not opened"
    if path.name != INDEX_NAME and not is_audio(name):
        return "not_audio", "neither WAV, FLAC nor AIFF"
    fault = path_fault(name)
    return None if fault is None else ("bad_path", fault)


def _relative(found: Iterator[tuple[str, zipfile.ZipInfo]]) -> dict[str, zipfile.ZipInfo]:
    """The entries by name, without the folder they all lie in if its index.csv names them."""
    entries = dict(found)
    tops = {name.split("/")[0] for name in entries}
    folder = next(iter(tops), "")
    if len(tops) == 1 and f"{folder}/{INDEX_NAME}" in entries:
        return {name.removeprefix(f"{folder}/"): entry for name, entry in entries.items()}
    return entries

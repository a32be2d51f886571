"""A zip of which every byte is accounted for.

Its entries are stored, not compressed, one behind the other, in one fixed form (APPNOTE.TXT 6.3.3,
sections 4.3.7, 4.3.12 and 4.3.16; no comments, no extra fields, no dates). So the same entries give
the same bytes with any version of any library, its size is known before it is made, nothing in it
unpacks to more than it takes, and a reader can hold each byte against what must stand there: any
changed one is found, also where no entry's content lies.

It is read by what is below and not by `zipfile`, which overlooks what it does not need.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

LOCAL: Final = struct.Struct("<4s5H3I2H")
CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
END: Final = struct.Struct("<4s4H2IH")
VERSION: Final = 20
MADE_BY_UNIX: Final = 3 << 8 | VERSION
NO_DATE: Final = 1 << 5 | 1  # 1 January 1980, the first that there is
A_FILE: Final = 0o100644 << 16
MOST_ENTRIES: Final = 65_000
MOST_BYTES: Final = 2**32 - 2**24
"""Where zip files need the fields of ZIP64."""
LONGEST_NAME: Final = 100
BLOCK: Final = 1024 * 1024

DIRECTORY: Final = "zip directory"
"""What a fault that is no entry's is told of."""

is_name = re.compile(r"(?:[a-z0-9-]{1,30}/){0,2}[A-Za-z0-9][A-Za-z0-9._-]{0,60}").fullmatch
"""No name of an entry leads out of a folder that it is unpacked into."""


class Broken(Exception):
    """The file is not a zip in this form.

    Attributes:
        part: the entry that it is about, or :data:`DIRECTORY`.
        why: in a few words.
    """

    def __init__(self, part: str, why: str) -> None:
        super().__init__(f"{part}: {why}")
        self.part = part
        self.why = why


@dataclass(frozen=True)
class Entry:
    """A file in the zip.

    Attributes:
        size: bytes.
        crc32: of its content.
    """

    name: str
    size: int
    crc32: int


def length(entries: Sequence[Entry]) -> int:
    """Bytes of the whole zip."""
    names = sum(len(one.name) for one in entries)
    each = LOCAL.size + CENTRAL.size
    return len(entries) * each + 2 * names + sum(one.size for one in entries) + END.size


def before(entry: Entry) -> bytes:
    """What stands before an entry's content."""
    name = entry.name.encode("ascii")
    fields = (VERSION, 0, 0, 0, NO_DATE, entry.crc32, entry.size, entry.size, len(name), 0)
    return LOCAL.pack(b"PK\3\4", *fields) + name


def after(entries: Sequence[Entry]) -> bytes:
    """What stands behind all contents: the directory, and its end."""
    at, listed = 0, []
    for entry in entries:
        name = entry.name.encode("ascii")
        sizes = (entry.crc32, entry.size, entry.size, len(name), 0, 0, 0, 0, A_FILE, at)
        head = CENTRAL.pack(b"PK\1\2", MADE_BY_UNIX, VERSION, 0, 0, 0, NO_DATE, *sizes)
        listed.append(head + name)
        at += LOCAL.size + len(name) + entry.size
    directory = b"".join(listed)
    count = len(entries)
    return directory + END.pack(b"PK\5\6", 0, 0, count, count, len(directory), at, 0)


def looks_like_one(path: Path) -> bool:
    """Whether a file means to be a zip, also if a byte of it has changed."""
    with path.open("rb") as file:
        begins = file.read(4) == b"PK\3\4"
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - END.size))
        return begins or file.read(4) == b"PK\5\6"


class Container:
    """A zip in this form, opened for reading.

    Args:
        path: of the file; hostile bytes are fine.

    Attributes:
        entries: in their order.

    Raises:
        Broken: it is none.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            self.entries = _directory(file)
            self._starts: dict[str, int] = {}
            at = 0
            for entry in self.entries:
                expected = before(entry)
                file.seek(at)
                if file.read(len(expected)) != expected:
                    raise Broken(entry.name, "what stands before it in the zip has changed")
                self._starts[entry.name] = at + len(expected)
                at += len(expected) + entry.size
        self.sizes = {entry.name: entry.size for entry in self.entries}
        self._crcs = {entry.name: entry.crc32 for entry in self.entries}

    def blocks(self, name: str) -> Iterator[bytes]:
        """The content of an entry, at most a MiB at a time."""
        left = self.sizes[name]
        with self._path.open("rb") as file:
            file.seek(self._starts[name])
            while left:
                block = file.read(min(left, BLOCK))
                if not block:
                    raise Broken(name, "the file was cut off while it was read")
                left -= len(block)
                yield block

    def read(self, name: str, most: int) -> bytes:
        """The content of an entry, whole.

        Raises:
            Broken: there is no such entry, or it has more than ``most`` bytes.
        """
        if name not in self.sizes:
            raise Broken(name, "is missing")
        if self.sizes[name] > most:
            raise Broken(name, f"has {self.sizes[name]} bytes, more than {most}")
        return b"".join(self.blocks(name))

    def lines(self, name: str, longest: int) -> Iterator[bytes]:
        """The lines of an entry, with their ends.

        Raises:
            Broken: there is no such entry, or a line has more than ``longest`` bytes.
        """
        if name not in self.sizes:
            raise Broken(name, "is missing")
        rest = b""
        for block in self.blocks(name):
            *whole, rest = (rest + block).split(b"\n")
            if len(rest) > longest:
                raise Broken(name, f"has a line of more than {longest} bytes")
            yield from (line + b"\n" for line in whole)
        if rest:
            yield rest

    def check_crc(self, name: str, found: int) -> None:
        """Raise :class:`Broken` if an entry's content has another CRC-32 than the zip says."""
        if self._crcs[name] != found:
            raise Broken(name, "its CRC-32 in the zip is another's")


def _directory(file: BinaryIO) -> list[Entry]:
    """What the zip's directory lists, if it stands there byte for byte as it must."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - END.size))
    end = file.read(END.size)
    if len(end) < END.size or end[:4] != b"PK\5\6":
        raise Broken(DIRECTORY, "its end is missing: the file was cut off, or is no bundle")
    _, _, _, count, _, long, at, _ = END.unpack(end)
    if not 1 <= count <= MOST_ENTRIES or at + long + END.size != size:
        raise Broken(DIRECTORY, "its end has changed")
    if long > count * (CENTRAL.size + LONGEST_NAME):
        raise Broken(DIRECTORY, f"takes {long} bytes for {count} entries")
    file.seek(at)
    directory = file.read(long)
    entries, place = [], 0
    for _ in range(count):
        entry = _listed(directory, place)
        place += CENTRAL.size + len(entry.name)
        entries.append(entry)
    if len({entry.name for entry in entries}) < count:
        raise Broken(DIRECTORY, "lists a name twice")
    if length(entries) != size:
        raise Broken(DIRECTORY, "its sizes are not those of the file")
    expected = after(entries)
    if expected != directory + end:
        raise Broken(_first_changed(entries, expected, directory + end), "has changed in the zip")
    return entries


def _listed(directory: bytes, place: int) -> Entry:
    head = directory[place : place + CENTRAL.size]
    if len(head) < CENTRAL.size:
        raise Broken(DIRECTORY, "ends early")
    *_, crc32, _, size, name_length, _, _, _, _, _, _ = CENTRAL.unpack(head)
    raw = directory[place + CENTRAL.size : place + CENTRAL.size + name_length]
    name = raw.decode("ascii", "replace")
    if len(raw) < name_length or not is_name(name):
        raise Broken(DIRECTORY, f"names an entry {name[:LONGEST_NAME]!a}")
    return Entry(name, size, crc32)


def _first_changed(entries: Sequence[Entry], expected: bytes, found: bytes) -> str:
    """The entry in whose part of the directory the two differ first."""
    at = next(n for n, (one, other) in enumerate(zip(expected, found, strict=True)) if one != other)
    for entry in entries:
        at -= CENTRAL.size + len(entry.name)
        if at < 0:
            return entry.name
    return DIRECTORY


def crc32(block: bytes, so_far: int = 0) -> int:
    """As zip files have it."""
    return zlib.crc32(block, so_far)

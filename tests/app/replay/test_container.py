"""The zip of a bundle: a plain one for every tool, and without a byte that nobody looks at."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from app.replay.container import (
    DIRECTORY,
    END,
    Broken,
    Container,
    Entry,
    after,
    before,
    crc32,
    is_name,
    length,
    looks_like_one,
)

FILES = {"README.txt": b"read me", "rows.jsonl": b'{"index":0}\n{"index":1}\n', "a/b.wav": b""}


def packed(files: dict[str, bytes] = FILES) -> bytes:
    entries = [Entry(name, len(content), crc32(content)) for name, content in files.items()]
    pieces = [before(one) + files[one.name] for one in entries]
    return b"".join(pieces) + after(entries)


def opened(content: bytes, tmp_path: Path) -> Container:
    path = tmp_path / "bundle.zip"
    path.write_bytes(content)
    return Container(path)


def whole(content: bytes, tmp_path: Path) -> dict[str, bytes]:
    """All of it, with every check that a verification makes of the zip."""
    container = opened(content, tmp_path)
    found = {}
    for entry in container.entries:
        found[entry.name] = container.read(entry.name, 10_000)
        container.check_crc(entry.name, crc32(found[entry.name]))
    return found


class TestForm:
    def test_every_tool_can_open_it(self) -> None:
        with zipfile.ZipFile(io.BytesIO(packed())) as archive:
            assert archive.testzip() is None
            assert {name: archive.read(name) for name in archive.namelist()} == FILES

    def test_its_size_is_known_before_it_is_made(self) -> None:
        entries = [Entry(name, len(content), 0) for name, content in FILES.items()]
        assert length(entries) == len(packed())

    def test_it_is_the_same_in_every_version(self) -> None:
        """Whoever changes this changes every bundle that was ever signed."""
        digest = hashlib.sha256(packed()).hexdigest()
        assert digest == "7a64f3f3aa600eb412a0835cd20c8511d7ce2e22dab8f335c262748ed2839c23"

    def test_it_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        assert whole(packed(), tmp_path) == FILES
        assert list(opened(packed(), tmp_path).lines("rows.jsonl", 100)) == [
            b'{"index":0}\n',
            b'{"index":1}\n',
        ]


class TestChanged:
    def test_every_flipped_byte_is_found_and_named(self, tmp_path: Path) -> None:
        """Or it is one of a content, which its hash tells."""
        content = packed()
        for at in range(len(content)):
            for bit in (0x01, 0x80):
                changed = content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]
                with pytest.raises(Broken) as broken:
                    whole(changed, tmp_path)
                part = broken.value.part
                assert part in FILES or part == DIRECTORY or is_name(part), (at, bit)

    @pytest.mark.parametrize("cut", [0, 1, 10, 22, 100])
    def test_one_that_was_cut_off_is_broken(self, tmp_path: Path, cut: int) -> None:
        with pytest.raises(Broken):
            opened(packed()[: -cut or 5], tmp_path)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"PK",
            b"PK\5\6" + b"\0" * 18,
            b"PK\5\6" + b"\xff" * 18,
            packed() + b"\0",
            b"#!/bin/sh\n" + packed(),
            packed()[:-2] + b"\1\0c",
        ],
    )
    def test_nothing_may_stand_around_it(self, tmp_path: Path, content: bytes) -> None:
        with pytest.raises(Broken):
            opened(content, tmp_path)


class TestHostile:
    @pytest.mark.parametrize(
        "name", ["../up", "/etc/x", "a/../b", "a\\b", "C:x", ".hidden", "a//b", "a/b/c/d", "", "é"]
    )
    def test_no_name_leads_out_of_a_folder(self, tmp_path: Path, name: str) -> None:
        assert not is_name(name)
        content = packed({"x" * max(1, len(name.encode())): b"1"})
        raw = content.replace(b"x" * max(1, len(name.encode())), name.encode() or b"\0")
        with pytest.raises(Broken):
            opened(raw, tmp_path)

    def test_an_archive_of_another_form_is_refused(self, tmp_path: Path) -> None:
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            file = io.BytesIO()
            with zipfile.ZipFile(file, "w", method) as archive:
                archive.writestr("rows.jsonl", b"0" * 1000)
            with pytest.raises(Broken):
                opened(file.getvalue(), tmp_path)

    def test_a_name_twice_is_refused(self, tmp_path: Path) -> None:
        entry = Entry("a", 1, crc32(b"1"))
        content = (before(entry) + b"1") * 2 + after([entry, entry])
        with pytest.raises(Broken, match="lists a name twice"):
            opened(content, tmp_path)

    def test_a_directory_that_claims_too_much_is_not_read(self, tmp_path: Path) -> None:
        content = packed()
        fields = list(END.unpack(content[-END.size :]))
        for field, value in ((4, 60_000), (5, 2**32 - 1), (6, 2**32 - 1)):
            changed = [*fields]
            changed[field] = value
            with pytest.raises(Broken):
                opened(content[: -END.size] + END.pack(*changed), tmp_path)

    def test_what_is_read_is_bounded(self, tmp_path: Path) -> None:
        container = opened(packed(), tmp_path)
        with pytest.raises(Broken, match="more than 3"):
            container.read("README.txt", 3)
        with pytest.raises(Broken, match="line of more than 2 bytes"):
            list(container.lines("README.txt", 2))
        for read in (container.read, container.lines):
            with pytest.raises(Broken, match="is missing"):
                list(read("nothing", 10))


class TestLooksLikeOne:
    def test_also_if_its_first_or_last_byte_has_changed(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        for content in (packed(), b"X" + packed()[1:], packed()[:-1] + b"X"):
            path.write_bytes(content)
            assert looks_like_one(path)
        for content in (b"", b'{"object":"report"}', b"%PDF-1.7"):
            path.write_bytes(content)
            assert not looks_like_one(path)

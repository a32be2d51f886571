"""A zip from outside is read within bounds or refused; its names never become paths."""

import contextlib
import io
import stat
import struct
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.corpora import archive
from app.corpora.archive import Archive, Limits
from app.errors import Invalid

MIB = 1024 * 1024
LIMITS = Limits(entries=20, unpacked_bytes=8 * MIB, clip_bytes=MIB)


def packed(
    *files: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as zipped:
        for name, content in files:
            zipped.writestr(name, content)
    return buffer.getvalue()


def opened(data: bytes, limits: Limits = LIMITS) -> Archive:
    return Archive(io.BytesIO(data), limits)


def refusal(data: bytes, limits: Limits = LIMITS) -> Invalid:
    """The error that the archive is refused with, when opened or when read."""
    with pytest.raises(Invalid) as caught:
        read_all(data, limits)
    return caught.value


def read_all(data: bytes, limits: Limits = LIMITS) -> None:
    with opened(data, limits) as found:
        for name in found.names:
            found.read(name)


class TestWhatIsRead:
    def test_audio_and_the_index_by_their_names(self) -> None:
        data = packed(("index.csv", b"path"), ("a/one.wav", b"1"), ("two.FLAC", b"2"))
        with opened(data) as found:
            assert found.names == ["index.csv", "a/one.wav", "two.FLAC"]
            assert found.read("a/one.wav") == b"1"
            assert found.skipped == []

    def test_an_entry_that_is_being_read_can_be_watched_and_ended(self) -> None:
        looks: list[None] = []

        def look() -> None:
            looks.append(None)
            if len(looks) == 3:
                raise ValueError("enough")

        with opened(packed(("a.wav", bytes(4 * archive.CHUNK_BYTES)))) as found:
            with pytest.raises(ValueError, match=r"^enough$"):  # and not "the entry is damaged"
                found.read("a.wav", look)
            found.read("a.wav", lambda: None)

    def test_the_folder_that_was_packed_with_its_index_is_not_part_of_the_names(self) -> None:
        data = packed(("corpus/", b""), ("corpus/index.csv", b"path"), ("corpus/a/one.wav", b"1"))
        with opened(data) as found:
            assert found.names == ["index.csv", "a/one.wav"]
            assert found.read("a/one.wav") == b"1"

    def test_backslashes_of_windows_are_slashes(self) -> None:
        with opened(packed(("index.csv", b"path"), ("a\\", b""), ("a\\one.wav", b"1"))) as found:
            assert found.names == ["index.csv", "a/one.wav"]
            assert found.read("a/one.wav") == b"1"
            assert found.skipped == []

    def test_a_folder_packed_as_a_dot_is_no_part_of_the_names(self) -> None:
        with opened(packed(("./", b""), ("./a/one.wav", b"1"))) as found:
            assert found.names == ["a/one.wav"]
            assert found.skipped == []

    def test_letters_in_two_pieces_are_put_together(self) -> None:
        with opened(packed(("Zoe\u0308.wav", b"1"))) as found:
            assert found.names == ["Zo\u00eb.wav"]
            assert found.read("Zo\u00eb.wav") == b"1"

    def test_utf8_that_is_not_flagged_as_such_is_read_as_it(self) -> None:
        """As Info-ZIP and Finder pack; Python flags it, so the flag is taken away."""
        data = bytearray(packed(("Zo\u00eb.wav", b"1")))
        for signature, offset in ((b"PK\3\4", 7), (b"PK\1\2", 9)):
            assert data[data.index(signature) + offset] == 8
            data[data.index(signature) + offset] = 0
        with opened(bytes(data)) as found:
            assert found.names == ["Zo\u00eb.wav"]
            assert found.read("Zo\u00eb.wav") == b"1"

    def test_a_folder_without_an_index_stays_because_it_may_name_the_speaker(self) -> None:
        with opened(packed(("DC/a01.wav", b"1"), ("DC/a02.wav", b"1"))) as found:
            assert found.names == ["DC/a01.wav", "DC/a02.wav"]

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("README.md", "neither WAV, FLAC nor AIFF"),
            ("clip.mp3", "neither WAV, FLAC nor AIFF"),
            ("inner.zip", "an archive inside the archive is not opened"),
            ("inner.tar.gz", "an archive inside the archive is not opened"),
            ("__MACOSX/one.wav", "metadata of macOS"),
            ("a/._one.wav", "metadata of macOS"),
            ("x" * 300 + ".wav", "304 characters"),
            ("a\x01b.wav", "control character"),
        ],
    )
    def test_what_is_of_no_use_is_left_out_and_named(self, name: str, reason: str) -> None:
        with opened(packed((name, b"1"), ("one.wav", b"1"))) as found:
            assert found.names == ["one.wav"]
            assert len(found.skipped) == 1
            assert reason in found.skipped[0].reason

    def test_a_clip_that_is_too_large_is_left_out_and_named(self) -> None:
        with opened(packed(("long.wav", bytes(MIB + 1)), ("one.wav", b"1"))) as found:
            assert found.names == ["one.wav"]
            assert "1048577 bytes" in found.skipped[0].reason


class TestWhatIsHostile:
    @pytest.mark.parametrize(
        "name",
        [
            "../one.wav",
            "a/../../one.wav",
            "/etc/one.wav",
            "a\\..\\..\\one.wav",
            "\\etc\\one.wav",
            ".//etc/one.wav",
            "C:\\one.wav",
            "..",
        ],
    )
    def test_a_name_that_leaves_the_archive_is_refused_and_shown(self, name: str) -> None:
        error = refusal(packed((name, b"1"), ("one.wav", b"1")))
        assert (error.status, error.code) == (422, "unsafe_path")
        assert name.split("\\", maxsplit=1)[0] in error.detail

    def test_a_symbolic_link_is_refused(self) -> None:
        link = zipfile.ZipInfo("one.wav")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        assert refusal(packed((link, b"/etc/passwd"))).code == "unsafe_path"

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_two_entries_of_one_name_are_refused(self) -> None:
        error = refusal(packed(("one.wav", b"1"), ("one.wav", b"2")))
        assert error.code == "duplicate_entry"
        assert "one.wav" in error.detail

    @pytest.mark.parametrize("other", ["a\\\u00eb.wav", "./a/\u00eb.wav", "a/e\u0308.wav"])
    def test_two_names_that_mean_the_same_are_refused(self, other: str) -> None:
        error = refusal(packed(("a/\u00eb.wav", b"1"), (other, b"2")))
        assert error.code == "duplicate_entry"

    def test_an_encrypted_entry_is_refused(self) -> None:
        data = bytearray(packed(("one.wav", b"1")))
        for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
            data[data.index(signature) + offset] |= 1
        assert refusal(bytes(data)).code == "encrypted"

    @pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
    def test_compression_whose_memory_the_archive_chooses_is_refused(self, method: int) -> None:
        error = refusal(packed(("one.wav", b"1" * 100), method=method))
        assert error.code == "unsupported_compression"

    def test_too_many_entries_are_refused(self) -> None:
        error = refusal(packed(*((f"{number}.wav", b"") for number in range(21))))
        assert error.code == "archive_too_large"
        assert "21 entries" in error.detail

    def test_a_directory_larger_than_its_entries_may_be_is_never_read(self) -> None:
        files = ((f"{number}" + "x" * 200 + ".wav", b"") for number in range(2000))
        error = refusal(packed(*files))
        assert error.code == "not_a_zip"
        assert "its directory takes" in error.detail

    def test_bytes_are_counted_over_all_entries_while_reading(self) -> None:
        files = [(f"{number}.wav", bytes(MIB)) for number in range(9)]
        error = refusal(packed(*files, method=zipfile.ZIP_STORED))
        assert error.code == "archive_too_large"

    def test_a_bomb_is_refused_after_its_first_part(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(archive, "RATIO_COUNTS_FROM", MIB)
        bomb = packed(("one.wav", bytes(MIB)), ("two.wav", bytes(MIB)))
        error = refusal(bomb)
        assert error.code == "zip_bomb"
        assert f"{len(bomb)} bytes" in error.detail

    def test_a_size_in_the_header_that_is_too_small_does_not_let_more_through(self) -> None:
        data = bytearray(packed(("one.wav", bytes(MIB))))
        for signature, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
            struct.pack_into("<I", data, data.index(signature) + offset, 10)
        assert refusal(bytes(data)).code == "archive_damaged"


class TestWhatIsNoArchive:
    @pytest.mark.parametrize("data", [b"", b"text", b"PK\3\4", b"RIFF" * 100, bytes(1000)])
    def test_other_files_are_refused(self, data: bytes) -> None:
        assert refusal(data).code == "not_a_zip"

    def test_a_damaged_entry_is_named(self) -> None:
        data = packed(("one.wav", b"content"), method=zipfile.ZIP_STORED)
        error = refusal(data.replace(b"content", b"Content"))
        assert error.code == "archive_damaged"
        assert "one.wav" in error.detail

    def test_an_entry_without_a_name_is_skipped(self) -> None:
        data = packed(("Q.wav", b"1"), ("two.wav", b"2")).replace(b"Q.wav", b"\0.wav")
        with opened(data) as found:
            assert found.names == ["two.wav"]
            assert [one.path for one in found.skipped] == [""]

    @settings(max_examples=200, deadline=None)
    @given(
        changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=8),
        cut=st.integers(0, 200),
    )
    def test_whatever_is_changed_it_is_read_or_refused(
        self, changes: list[tuple[int, int]], cut: int
    ) -> None:
        data = bytearray(packed(("index.csv", b"path"), ("a/one.wav", b"abc" * 99)))
        for place, value in changes:
            data[place % len(data)] = value
        with contextlib.suppress(Invalid):
            read_all(bytes(data[: len(data) - cut]))

"""Of several files of one clip the best is kept, and every other one names it."""

from pathlib import Path

import numpy as np
import pytest

from models.audio import encode_wav
from models.corpus import describe
from models.corpus.copies import Settled, settle

RATE = 16_000


def sound(seconds: float = 0.5, silent: float = 0.0, loud: float = 0.1) -> bytes:
    """Noise with a digital silence behind it."""
    rng = np.random.default_rng(0)
    samples = rng.normal(scale=loud, size=int(RATE * seconds)).clip(-1, 1)
    if silent:
        samples[-int(RATE * silent) :] = 0
    return encode_wav(samples.astype(np.float32), encoding="pcm16")


def at_rate(rate: int) -> bytes:
    data = bytearray(sound())
    data[24:28] = rate.to_bytes(4, "little")
    data[28:32] = (2 * rate).to_bytes(4, "little")
    return bytes(data)


def settled(folder: Path, files: dict[str, bytes]) -> tuple[list[str], Settled]:
    """The paths that are kept, and what became of the others."""
    manifest, _ = describe(list(files), "emodb")
    paths = [clip.path for clip in manifest]
    for number, path in enumerate(paths):
        (folder / str(number)).write_bytes(files[path])
    found = settle(manifest, lambda number: folder / str(number), max_seconds=60, look=lambda: None)
    return [paths[number] for number in found.kept], found


class TestCopies:
    def test_the_same_bytes_are_a_copy_and_count_once(self, tmp_path: Path) -> None:
        kept, found = settled(
            tmp_path,
            {"a/03a01Fa.wav": sound(), "b/03a01Fa.wav": sound(), "a/03a01Nc.wav": sound()},
        )
        assert kept == ["a/03a01Fa.wav", "a/03a01Nc.wav"]
        (copy,) = found.skipped
        assert (copy.path, copy.code) == ("b/03a01Fa.wav", "copy")
        assert "a/03a01Fa.wav" in copy.reason

    @pytest.mark.parametrize(
        ("worse", "better", "why"),
        [
            (b"no audio", sound(), "cannot be read"),
            (sound()[:-4000], sound(), "not whole"),
            (at_rate(8_000), at_rate(16_000), "sampling rate"),
            (sound(loud=2.0), sound(), "clipped"),
            (sound(silent=0.2), sound(), "digital silence"),
            (sound(0.4), sound(0.5), "shorter"),
        ],
    )
    def test_of_different_bytes_the_better_recording_is_kept(
        self, tmp_path: Path, worse: bytes, better: bytes, why: str
    ) -> None:
        kept, found = settled(tmp_path, {"a/03a01Fa.wav": worse, "b/03a01Fa.wav": better})
        assert kept == ["b/03a01Fa.wav"]
        (lesser,) = found.skipped
        assert (lesser.path, lesser.code) == ("a/03a01Fa.wav", "lesser_recording")
        assert "b/03a01Fa.wav" in lesser.reason
        assert why in lesser.reason

    def test_of_three_a_copy_of_the_best_is_called_so(self, tmp_path: Path) -> None:
        kept, found = settled(
            tmp_path,
            {"a/03a01Fa.wav": sound(0.4), "b/03a01Fa.wav": sound(), "c/03a01Fa.wav": sound()},
        )
        assert kept == ["b/03a01Fa.wav"]
        assert [one.code for one in found.skipped] == ["lesser_recording", "copy"]

    def test_equally_good_ones_are_settled_by_name(self, tmp_path: Path) -> None:
        data = bytearray(sound())
        data[60] ^= 1
        kept, found = settled(tmp_path, {"a/03a01Fa.wav": sound(), "b/03a01Fa.wav": bytes(data)})
        assert kept == ["a/03a01Fa.wav"]
        assert "as good" in found.skipped[0].reason

    def test_nothing_is_decoded_where_nothing_differs(self, tmp_path: Path) -> None:
        manifest, _ = describe(["a/03a01Fa.wav", "b/03a01Fa.wav"], "emodb")
        (tmp_path / "clip").write_bytes(b"x")

        def look() -> None:
            raise AssertionError

        found = settle(manifest, lambda _: tmp_path / "clip", max_seconds=60, look=look)
        assert found.kept == (0,)

"""Recordings of a corpus → its features in one folder."""

import errno
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from models.audio import Condition, decode, encode_wav
from models.corpus import extraction
from models.corpus.conditions import CONDITIONS_NAME, read_conditions
from models.corpus.extraction import extract
from models.corpus.features import FRAMES_NAME, FeatureSet
from models.corpus.manifest import Clip, CorpusError, Manifest
from models.features import MELS, LogMel

EXTRACT_ONE_CLIP = """
import multiprocessing, pathlib, sys
from models.corpus.extraction import extract
from models.corpus.manifest import Clip, Manifest

def tell(done, total):
    print(multiprocessing.active_children()[0].pid, flush=True)

manifest = Manifest((Clip("0.wav", "s", "f", "anger", "", 0.0, None),))
extract(manifest, *map(pathlib.Path, sys.argv[1:]), processes=1, on_progress=tell)
"""


class Stop(Exception):
    """Somebody wants no more of it."""


def record(audio: Path, clips: int) -> Manifest:
    """So many clips of noise, each longer than the one before."""
    noise = np.random.default_rng(0).normal(0, 0.1, 40_000).astype(np.float32)
    audio.mkdir()
    for number in range(clips):
        wav = encode_wav(noise[: 1_000 + 100 * number], encoding="pcm16")
        (audio / f"{number}.wav").write_bytes(wav)
    return manifest_of(clips)


def writer_once_it_is_read(fifo: Path) -> int:
    """The descriptor of a writer, opened as soon as somebody reads."""
    while True:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
        time.sleep(0.05)


def manifest_of(clips: int) -> Manifest:
    emotions = ("anger", "fear", "neutral")
    splits = ("train", "test")
    return Manifest(
        tuple(
            Clip(f"{n}.wav", f"s{n % 2}", "f", emotions[n % 3], "", 0.0, splits[n % 2])
            for n in range(clips)
        )
    )


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    return tmp_path / "audio"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "features"
    path.mkdir()
    return path


class TestExtract:
    def test_every_clip_has_the_frames_that_a_prediction_would_see(
        self, audio: Path, folder: Path
    ) -> None:
        features = extract(record(audio, 3), audio, folder)
        for number in range(3):
            waveform = decode((audio / f"{number}.wav").read_bytes())
            expected = LogMel()(torch.from_numpy(waveform.samples))
            start, end = features.offsets[number : number + 2].tolist()
            assert torch.equal(features.features[start:end], expected)

    def test_durations_are_measured(self, audio: Path, folder: Path) -> None:
        features = extract(record(audio, 3), audio, folder)
        assert [clip.duration_s for clip in features.manifest] == [0.0625, 0.06875, 0.075]

    def test_the_condition_of_each_recording_is_kept(self, audio: Path, folder: Path) -> None:
        manifest = record(audio, 4)
        (audio / "1.wav").write_bytes(b"")  # has none
        extract(manifest, audio, folder)
        found = read_conditions(folder, 3)
        assert found == tuple(
            Condition.of(decode((audio / f"{number}.wav").read_bytes())) for number in (0, 2, 3)
        )
        assert found[0].warnings == ("too_short",)

    def test_clips_that_cannot_be_read_are_skipped_with_the_reason(
        self, audio: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        manifest = record(audio, 6)
        (audio / "0.wav").write_bytes(b"")
        (audio / "2.wav").write_bytes(encode_wav(np.zeros(5_000, np.float32)))
        (audio / "3.wav").unlink()
        (audio / "5.wav").write_bytes(bytes(20_000))
        monkeypatch.setattr(extraction, "MAX_FILE_BYTES", 12_000)
        features = extract(manifest, audio, folder)
        assert [clip.path for clip in features.manifest] == ["1.wav", "4.wav"]
        reasons = {entry.path: entry.reason for entry in features.skipped}
        assert list(reasons) == ["0.wav", "2.wav", "3.wav", "5.wav"]
        assert "empty" in reasons["0.wav"]
        assert "more than 12000 bytes" in reasons["2.wav"]
        assert "No such file" in reasons["3.wav"]
        assert "more than 12000 bytes" in reasons["5.wav"]

    def test_silence_and_overlong_clips_are_skipped(self, audio: Path, folder: Path) -> None:
        manifest = record(audio, 3)
        (audio / "0.wav").write_bytes(encode_wav(np.zeros(1_000, np.float32)))
        features = extract(manifest, audio, folder, max_seconds=0.07)
        assert [clip.path for clip in features.manifest] == ["1.wav"]
        assert "silent" in features.skipped[0].reason
        assert "0.1 s" in features.skipped[1].reason

    def test_nothing_to_read_is_an_error_and_leaves_no_file(
        self, audio: Path, folder: Path
    ) -> None:
        audio.mkdir()
        with pytest.raises(CorpusError, match=r"None of the 2 .* 0.wav") as caught:
            extract(manifest_of(2), audio, folder)
        assert caught.value.code == "no_clips"
        assert list(folder.iterdir()) == []

    def test_progress_counts_up_to_all_clips(
        self, audio: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(extraction, "BLOCK_CLIPS", 2)
        seen: list[tuple[int, int]] = []
        extract(record(audio, 5), audio, folder, on_progress=lambda *now: seen.append(now))
        assert seen == [(2, 5), (4, 5), (5, 5)]

    def test_whoever_watches_can_stop_it(
        self, audio: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(extraction, "BLOCK_CLIPS", 2)

        def stop(done: int, total: int) -> None:
            raise Stop(f"{done} of {total}")

        with pytest.raises(Stop, match="2 of 5"):
            extract(record(audio, 5), audio, folder, on_progress=stop)
        assert list(folder.iterdir()) == []


class TestProcesses:
    def test_a_small_corpus_is_not_worth_any(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.sched_getaffinity", lambda pid: range(8))
        assert [extraction._processes(clips) for clips in (0, 999, 1_000, 1_600, 10_000)] == [
            0,
            0,
            2,
            3,
            8,
        ]

    @pytest.mark.timeout(300)  # two imports of torch: long on a machine that is busy
    def test_they_give_the_same_as_none(
        self, audio: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(extraction, "BLOCK_CLIPS", 3)
        manifest = record(audio, 20)
        (audio / "7.wav").write_bytes(b"no sound")
        alone = extract(manifest, audio, folder)
        features = alone.features.clone()
        spread = extract(manifest, audio, folder, processes=2)
        # A matrix product of one thread and of two may differ in the last bit.
        torch.testing.assert_close(spread.features, features, rtol=0, atol=1e-5)
        assert torch.equal(spread.offsets, alone.offsets)
        assert (spread.manifest, spread.skipped) == (alone.manifest, alone.skipped)
        assert multiprocessing.active_children() == []

    def test_stopping_ends_them_at_once(self, audio: Path, folder: Path) -> None:
        def stop(done: int, total: int) -> None:
            raise Stop

        with pytest.raises(Stop):
            extract(record(audio, 4), audio, folder, processes=1, on_progress=stop)
        assert multiprocessing.active_children() == []
        assert list(folder.iterdir()) == []

    def test_the_death_of_one_is_an_error_that_says_so(self, audio: Path, folder: Path) -> None:
        def kill(done: int, total: int) -> None:
            for process in multiprocessing.active_children():
                process.kill()

        with pytest.raises(CorpusError, match="died") as caught:
            extract(record(audio, 4), audio, folder, processes=1, on_progress=kill)
        assert caught.value.code == "extraction_died"
        assert list(folder.iterdir()) == []

    @pytest.mark.timeout(300)
    def test_they_end_with_their_parent_even_in_the_midst_of_a_clip(
        self, audio: Path, folder: Path
    ) -> None:
        audio.mkdir()
        os.mkfifo(audio / "0.wav")  # whoever reads this clip waits
        command = [sys.executable, "-c", EXTRACT_ONE_CLIP, str(audio), str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout is not None
            child = psutil.Process(int(parent.stdout.readline()))
            writer = writer_once_it_is_read(audio / "0.wav")
            parent.kill()
        try:
            child.wait(timeout=30)
        finally:
            os.close(writer)


class TestFeatureSet:
    def test_what_was_written_is_loaded_again(self, audio: Path, folder: Path) -> None:
        written = extract(record(audio, 4), audio, folder)
        loaded = FeatureSet.load(folder)
        assert torch.equal(loaded.features, written.features)
        assert torch.equal(loaded.offsets, written.offsets)
        assert loaded.features.shape[1] == MELS
        assert (loaded.manifest, loaded.skipped) == (written.manifest, written.skipped)

    def test_a_dataset_has_the_networks_labels_in_its_order(
        self, audio: Path, folder: Path
    ) -> None:
        manifest, data = extract(record(audio, 6), audio, folder).dataset(
            ["neutral", "joy", "anger"], "train"
        )
        assert [(clip.path, clip.emotion) for clip in manifest] == [
            ("0.wav", "anger"),
            ("2.wav", "neutral"),
        ]
        assert data.labels.tolist() == [2, 0]
        assert [len(data.clip(n)) for n in range(2)] == [2, 3]

    def test_a_dataset_of_all_splits(self, audio: Path, folder: Path) -> None:
        features = extract(record(audio, 6), audio, folder)
        manifest, data = features.dataset(features.manifest.emotions)
        assert manifest == features.manifest
        assert torch.equal(data.features, features.features)

    def test_a_network_of_other_emotions_is_refused(self, audio: Path, folder: Path) -> None:
        features = extract(record(audio, 3), audio, folder)
        with pytest.raises(CorpusError, match=r"joy.*anger, fear, neutral") as caught:
            features.dataset(["joy"])
        assert caught.value.code == "no_clips"

    @pytest.mark.parametrize("name", ["features.safetensors", "index.csv", "skipped.json"])
    @pytest.mark.parametrize("damage", ["gone", "empty"])
    def test_files_that_are_absent_or_damaged_are_refused(
        self, audio: Path, folder: Path, name: str, damage: str
    ) -> None:
        extract(record(audio, 3), audio, folder)
        (folder / name).unlink() if damage == "gone" else (folder / name).write_bytes(b"")
        with pytest.raises(CorpusError, match="Extract them again") as caught:
            FeatureSet.load(folder)
        assert caught.value.code == "bad_features"

    def test_conditions_of_a_corpus_from_before_them_are_not_known(
        self, audio: Path, folder: Path
    ) -> None:
        extract(record(audio, 3), audio, folder)
        (folder / CONDITIONS_NAME).unlink()
        assert read_conditions(folder, 3) is None

    @pytest.mark.parametrize("text", ["", "[1]", '{"a": 1}', "[]"])
    def test_conditions_that_are_damaged_or_of_other_clips_are_refused(
        self, folder: Path, text: str
    ) -> None:
        (folder / CONDITIONS_NAME).write_text(text)
        with pytest.raises(CorpusError, match="cannot be used") as caught:
            read_conditions(folder, 3)
        assert caught.value.code == "bad_features"

    def test_an_index_of_other_clips_is_refused(self, audio: Path, folder: Path) -> None:
        extract(record(audio, 3), audio, folder)
        lines = (folder / "index.csv").read_text().splitlines()
        (folder / "index.csv").write_text("\n".join(lines[:-1]))
        with pytest.raises(CorpusError, match="3 clips in them, 2 in the index"):
            FeatureSet.load(folder)

    def test_features_of_another_front_end_are_refused(self, audio: Path, folder: Path) -> None:
        extract(record(audio, 3), audio, folder)
        data = (folder / FRAMES_NAME).read_bytes()
        (folder / FRAMES_NAME).write_bytes(data.replace(b"-512-256-", b"-400-160-"))
        with pytest.raises(CorpusError, match="16k-400-160-64"):
            FeatureSet.load(folder)

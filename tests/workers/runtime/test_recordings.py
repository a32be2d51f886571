"""Recordings that a job reads again."""

from pathlib import Path

import pytest
import torch

from models.audio import encode_wav
from tests.spoken import hum
from workers.runtime.outcome import JobFailed
from workers.runtime.recordings import recording


def test_its_samples_are_those_that_were_written(tmp_path: Path) -> None:
    samples = hum(600, 1).clip(-1, 1)
    path = tmp_path / "a.wav"
    path.write_bytes(encode_wav(samples))
    torch.testing.assert_close(
        recording(path, "Clip 0", "Upload it again."), torch.from_numpy(samples), rtol=0, atol=1e-4
    )


def test_one_that_is_gone_is_told_without_the_servers_path(tmp_path: Path) -> None:
    with pytest.raises(JobFailed) as failed:
        recording(tmp_path / "gone.wav", "Clip 3", "Upload it again.")
    assert failed.value.code == "clip_damaged"
    assert str(failed.value) == (
        "Clip 3 cannot be read any more: No such file or directory. Upload it again."
    )


def test_one_that_is_damaged_is_told_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF, or so it says")
    with pytest.raises(JobFailed, match=r"^Clip 3 cannot be read any more: .+[^.]\. Upload"):
        recording(path, "Clip 3", "Upload it again.")

"""A corpus' frames read clip by clip are those that are mapped into memory."""

from pathlib import Path

import pytest
import torch

from models.corpus.features import FRAMES_NAME, FeatureFile, FeatureWriter
from models.corpus.manifest import CorpusError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three clips of 2, 1 and 3 frames, whose values count up."""
    frames = torch.arange(6 * 64, dtype=torch.float32)
    with FeatureWriter(tmp_path) as writer:
        writer.append([2, 1], frames[: 3 * 64].numpy().tobytes())
        writer.append([3], frames[3 * 64 :].numpy().tobytes())
        writer.finish()
    return tmp_path


class TestFeatureFile:
    def test_each_clip_is_its_own_frames(self, folder: Path) -> None:
        file = FeatureFile(folder)
        assert len(file) == 3
        whole = torch.arange(6 * 64, dtype=torch.float32).view(6, 64)
        assert torch.equal(file.clip(0), whole[:2])
        assert torch.equal(file.clip(1), whole[2:3])
        assert torch.equal(file.clip(2), whole[3:])

    def test_a_file_that_is_cut_off_is_told(self, folder: Path) -> None:
        path = folder / FRAMES_NAME
        file = FeatureFile(folder)
        path.write_bytes(path.read_bytes()[:2000])
        with pytest.raises(CorpusError, match="cut off"):
            file.clip(2)

    def test_no_file_or_another_one_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(CorpusError, match="Extract them again"):
            FeatureFile(tmp_path)
        (tmp_path / FRAMES_NAME).write_bytes(b"text")
        with pytest.raises(CorpusError, match="Extract them again"):
            FeatureFile(tmp_path)

"""`serval card`."""

from pathlib import Path

from huggingface_hub import ModelCard

from tests.app.cli.conftest import Serval
from workers.runtime.context import WorkerContext


class TestCard:
    def test_is_written_from_the_latest_audit(
        self, serval: Serval, url: str, worker: WorkerContext, speech: Path, tmp_path: Path
    ) -> None:
        said = serval("card", "tiny-a")
        assert said.status == 1
        assert "No audit of tiny-a has succeeded" in said.err
        clip = speech / "ann" / "anger.wav"
        said = serval("audit", clip, "--model", "tiny-a", "--epsilon", "0.1", "--label", "calm")
        assert said.status == 0, said.err
        shown = serval("card", "tiny-a")
        assert shown.out.startswith("---\n")
        path = tmp_path / "README.md"
        assert serval("card", "tiny-a", "-o", path).status == 0
        assert path.read_text() == shown.out
        said = serval("card", "tiny-a", "-o", path)
        assert (said.status, path.read_text()) == (1, shown.out)
        assert "is there already" in said.err
        assert ModelCard.load(path).data.to_dict()["pipeline_tag"] == "audio-classification"

    def test_a_file_that_cannot_be_written_leaves_nothing_behind(
        self, serval: Serval, url: str, tmp_path: Path
    ) -> None:
        said = serval("card", "tiny-a", "-o", tmp_path / "no" / "README.md")
        assert said.status == 1
        assert list(tmp_path.glob("no*")) == []

"""The manifest: what can be asked of a list of clips."""

import pytest

from models.corpus.manifest import Clip, CorpusError, Manifest

MANIFEST = Manifest(
    (
        Clip("1.wav", "b", "f", "sadness", "", 1.0, "train"),
        Clip("2.wav", "a", "m", "anger", "", 1.0, "test"),
        Clip("3.wav", "b", "f", "anger", "", 1.0, "train"),
        Clip("4.wav", "c", "", "anger", "", 1.0, None),
    )
)


class TestManifest:
    def test_emotions_and_speakers_are_sorted(self) -> None:
        assert MANIFEST.emotions == ("anger", "sadness")
        assert MANIFEST.speakers == ("a", "b", "c")

    def test_splits_come_in_their_order(self) -> None:
        assert MANIFEST.splits == ("train", "test")

    def test_a_split_keeps_the_order_of_the_corpus(self) -> None:
        assert [clip.path for clip in MANIFEST.split("test", "train")] == [
            "1.wav",
            "2.wav",
            "3.wav",
        ]

    def test_a_split_without_clips_is_refused_with_those_there_are(self) -> None:
        with pytest.raises(CorpusError, match="'dev'; this corpus has train, test") as caught:
            MANIFEST.split("dev")
        assert caught.value.code == "unknown_split"

    def test_counts_leave_out_what_is_unknown(self) -> None:
        assert MANIFEST.counts("emotion") == {"anger": 3, "sadness": 1}
        assert MANIFEST.counts("gender") == {"f": 2, "m": 1}
        assert MANIFEST.counts("split") == {"test": 1, "train": 2}

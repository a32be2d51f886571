"""Which corpus it is, and what its file names tell of its clips and speakers."""

from pathlib import Path

import pytest

from models.corpus import ADAPTERS, describe, detect, public_speakers
from models.corpus.index import read_index
from models.corpus.labels import Labels
from models.corpus.manifest import Clip, CorpusError, Manifest
from models.corpus.partition import check_disjoint
from tests.models.corpus.adapters.test_emodb import NAMES as EMODB
from tests.models.corpus.adapters.test_emovo import NAMES as EMOVO

CORPORA = Path(__file__).parents[4] / "shared" / "corpora"


class TestDetect:
    def test_an_index_goes_before_names(self) -> None:
        assert detect([*EMODB, "index.csv"]) == "index"

    def test_unknown_names_are_refused_with_an_example_and_a_remedy(self) -> None:
        with pytest.raises(CorpusError, match=r"'x/clip1.wav'.*index.csv") as caught:
            detect(["x/clip1.wav"])
        assert caught.value.code == "unknown_format"

    def test_no_audio_is_refused(self) -> None:
        with pytest.raises(CorpusError, match="None of the 0"):
            detect(["03a01Fa.txt"])

    def test_two_corpora_in_one_are_refused_by_name(self) -> None:
        with pytest.raises(CorpusError, match="emodb and emovo") as caught:
            detect([*EMODB, *EMOVO])
        assert caught.value.code == "mixed_formats"


class TestDescribe:
    def test_other_audio_is_skipped_with_the_reason_and_other_files_are_passed_over(self) -> None:
        manifest, skipped = describe(["03a01Fa.wav", "intro.wav", "notes.txt"], "emodb")
        assert len(manifest) == 1
        assert [(entry.path, "emodb" in entry.reason) for entry in skipped] == [("intro.wav", True)]

    def test_the_same_word_by_two_speakers_is_two_clips(self) -> None:
        assert len(describe(["DC/a01.wav", "JE/a01.wav"], "savee")[0]) == 2

    def test_a_path_that_leaves_the_folder_is_skipped(self) -> None:
        _, skipped = describe(["03a01Fa.wav", "../03a01Nc.wav"], "emodb")
        assert "leaves the corpus folder" in skipped[0].reason

    @pytest.mark.parametrize("corpus", ["emodb", "no-such-corpus"])
    def test_nothing_to_describe_is_an_error(self, corpus: str) -> None:
        with pytest.raises(CorpusError) as caught:
            describe(["clip.wav"], corpus)
        assert caught.value.code == "unknown_format"


class TestPublicSpeakers:
    def test_are_read_from_the_file_names_whatever_the_index_says(self) -> None:
        names = ["a/1002_DFA_ANG_XX.wav", "1001_IEO_HAP_HI.flac", "1002_IEO_SAD_LO.wav", "mine.wav"]
        clips = Manifest(tuple(Clip(name, "someone", "", "anger", "", 1.0, None) for name in names))
        assert public_speakers(clips) == {"cremad": ["1001", "1002"]}

    def test_of_clips_with_names_of_their_own_are_none(self) -> None:
        clip = Clip("mine.wav", "someone", "", "anger", "", 1.0, None)
        assert public_speakers(Manifest((clip,))) == {}


@pytest.mark.corpus
@pytest.mark.parametrize("corpus", ["cremad", "emodb"])
class TestRecordedCorpora:
    def test_names_tell_the_same_as_the_index(self, corpus: str) -> None:
        index = read_index(_index(corpus))
        parsed = {clip.path: ADAPTERS[corpus](clip.path) for clip in index}
        assert parsed == {
            clip.path: Labels(clip.speaker, clip.gender, clip.emotion, clip.sentence)
            for clip in index
        }

    def test_every_file_of_the_folder_stands_in_the_index(self, corpus: str) -> None:
        index = read_index(_index(corpus))
        files = [file.name for file in (CORPORA / corpus).iterdir()]
        manifest, skipped = describe(files, detect([f for f in files if f != "index.csv"]))
        assert {clip.path for clip in manifest} == {clip.path for clip in index}
        assert skipped == ()

    def test_the_given_splits_share_no_speaker(self, corpus: str) -> None:
        check_disjoint(read_index(_index(corpus)))


def _index(corpus: str) -> bytes:
    index = CORPORA / corpus / "index.csv"
    if not index.exists():
        pytest.skip(f"recorded speech is not here: {index.parent} is absent")
    return index.read_bytes()

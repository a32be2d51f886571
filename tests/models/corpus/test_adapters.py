"""File names → speaker, gender, emotion, sentence, for each public corpus."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from models.corpus import (
    ADAPTERS,
    cremad,
    demos,
    describe,
    detect,
    emodb,
    emovo,
    public_speakers,
    ravdess,
    savee,
    tess,
)
from models.corpus.index import read_index
from models.corpus.labels import EMOTIONS, Labels
from models.corpus.manifest import Clip, CorpusError, Manifest
from models.corpus.partition import check_disjoint

CORPORA = Path(__file__).parents[4] / "shared" / "corpora"

NAMES = {
    "cremad": {
        "1001_DFA_ANG_XX.wav": Labels("1001", "m", "anger", "DFA"),
        "AudioWAV/1002_IEO_DIS_HI.flac": Labels("1002", "f", "disgust", "IEO"),
        "1091_WSI_SAD_XX.WAV": Labels("1091", "f", "sadness", "WSI"),
        "1040_ITH_SAD_X.wav": Labels("1040", "m", "sadness", "ITH"),
        "1076_MTI_NEU_XX.wav": Labels("1076", "f", "neutral", "MTI"),
        "1053_TSI_FEA_XX.wav": Labels("1053", "f", "fear", "TSI"),
        "1048_IEO_HAP_LO.wav": Labels("1048", "m", "happiness", "IEO"),
    },
    "emodb": {
        "03a01Fa.wav": Labels("03", "m", "happiness", "a01"),
        "wav/08b03Wb.wav": Labels("08", "f", "anger", "b03"),
        "16b10Lb.wav": Labels("16", "f", "boredom", "b10"),
        "11a02Ac.wav": Labels("11", "m", "fear", "a02"),
        "13a05Ea.wav": Labels("13", "f", "disgust", "a05"),
        "15a07Tb.wav": Labels("15", "m", "sadness", "a07"),
        "14b09Nc.wav": Labels("14", "f", "neutral", "b09"),
    },
    "ravdess": {
        "Actor_12/03-01-06-01-02-01-12.wav": Labels("12", "f", "fear", "02"),
        "03-01-01-01-01-01-01.wav": Labels("01", "m", "neutral", "01"),
        "03-01-02-02-01-02-24.wav": Labels("24", "f", "calm", "01"),
        "03-01-03-02-01-02-23.wav": Labels("23", "m", "happiness", "01"),
        "03-01-04-01-01-01-09.wav": Labels("09", "m", "sadness", "01"),
        "03-01-05-01-02-01-10.wav": Labels("10", "f", "anger", "02"),
        "03-01-07-01-02-01-02.wav": Labels("02", "f", "disgust", "02"),
        "03-01-08-01-02-01-03.wav": Labels("03", "m", "surprise", "02"),
    },
    "emovo": {
        "f1/dis-f1-b1.wav": Labels("f1", "f", "disgust", "b1"),
        "m3/sor-m3-n5.wav": Labels("m3", "m", "surprise", "n5"),
        "gio-m1-l4.wav": Labels("m1", "m", "happiness", "l4"),
        "neu-f2-d2.wav": Labels("f2", "f", "neutral", "d2"),
        "pau-f3-b3.wav": Labels("f3", "f", "fear", "b3"),
        "rab-m2-l1.wav": Labels("m2", "m", "anger", "l1"),
        "tri-f1-n1.wav": Labels("f1", "f", "sadness", "n1"),
    },
    "tess": {
        "OAF_angry/OAF_back_angry.wav": Labels("OAF", "f", "anger", "back"),
        "YAF_youth_ps.wav": Labels("YAF", "f", "surprise", "youth"),
        "OAF_neutral/OA_bite_neutral.wav": Labels("OAF", "f", "neutral", "bite"),
        "YAF_dog_happy.wav": Labels("YAF", "f", "happiness", "dog"),
        "YAF_neat_fear.wav": Labels("YAF", "f", "fear", "neat"),
        "OAF_bar_sad.wav": Labels("OAF", "f", "sadness", "bar"),
        "OAF_base_disgust.wav": Labels("OAF", "f", "disgust", "base"),
    },
    "savee": {
        "AudioData/DC/a01.wav": Labels("DC", "m", "anger", "a01"),
        "DC_d03.wav": Labels("DC", "m", "disgust", "d03"),
        "JE_sa15.wav": Labels("JE", "m", "sadness", "sa15"),
        "ALL/JK_su07.wav": Labels("JK", "m", "surprise", "su07"),
        "KL/n30.wav": Labels("KL", "m", "neutral", "n30"),
        "KL_h10.wav": Labels("KL", "m", "happiness", "h10"),
        "JK_f05.wav": Labels("JK", "m", "fear", "f05"),
    },
    "demos": {
        "DEMOS/PR_f_13_rab01a.wav": Labels("13", "f", "anger", ""),
        "NP_m_05_col12b.wav": Labels("05", "m", "guilt", ""),
        "NEU/f_08_neu01.wav": Labels("08", "f", "neutral", ""),
        "NP_m_69_gio03.wav": Labels("69", "m", "happiness", ""),
        "NP_f_01_pau01a.wav": Labels("01", "f", "fear", ""),
        "PR_m_02_sor01a.wav": Labels("02", "m", "surprise", ""),
        "PR_m_02_tri01a.wav": Labels("02", "m", "sadness", ""),
        "PR_m_02_dis01a.wav": Labels("02", "m", "disgust", ""),
    },
}
FOREIGN = {
    "cremad": ["1092_DFA_ANG_XX.wav", "1000_DFA_ANG_XX.wav", "1001_XYZ_ANG_XX.wav", "1001.wav"],
    "emodb": ["07a01Fa.wav", "03a01Xa.wav", "03a01F.wav", "03A01Fa.wav"],
    "ravdess": [
        "03-02-06-01-02-01-12.wav",  # a song
        "01-01-06-01-02-01-12.wav",  # the sound of a video
        "03-01-09-01-02-01-12.wav",
        "03-01-06-01-02-01-25.wav",
        "03-01-06-01-02-01-12-1.wav",
    ],
    "emovo": ["dis-f4-b1.wav", "xyz-f1-b1.wav", "dis-f1-d3.wav", "dis-f1.wav"],
    "tess": ["XAF_back_angry.wav", "OAF_back_bored.wav", "OAF_angry.wav"],
    "savee": ["a01.wav", "DC_a16.wav", "DC_n31.wav", "DC_a00.wav", "XX_a01.wav", "EDC/a01.wav"],
    "demos": ["PR_x_13_rab01a.wav", "XX_f_13_rab01a.wav", "PR_f_13_xyz01.wav", "PR_f_rab01a.wav"],
}
PARSERS: dict[str, Callable[[str], Labels | None]] = {
    "cremad": cremad.parse,
    "demos": demos.parse,
    "emodb": emodb.parse,
    "emovo": emovo.parse,
    "ravdess": ravdess.parse,
    "savee": savee.parse,
    "tess": tess.parse,
}


class TestEveryAdapter:
    def test_is_registered_under_the_name_of_its_file(self) -> None:
        assert ADAPTERS == PARSERS

    @pytest.mark.parametrize(
        ("corpus", "path"), [(corpus, path) for corpus in NAMES for path in NAMES[corpus]]
    )
    def test_reads_its_names(self, corpus: str, path: str) -> None:
        assert ADAPTERS[corpus](path) == NAMES[corpus][path]

    @pytest.mark.parametrize(
        ("corpus", "path"), [(corpus, path) for corpus in FOREIGN for path in FOREIGN[corpus]]
    )
    def test_refuses_names_that_only_look_like_its_own(self, corpus: str, path: str) -> None:
        assert ADAPTERS[corpus](path) is None

    @pytest.mark.parametrize("corpus", ADAPTERS)
    @pytest.mark.parametrize("path", ["", "/", ".", "..", "README", "a\n.wav", "\0", "é.wav"])
    def test_answers_none_to_anything_else(self, corpus: str, path: str) -> None:
        assert ADAPTERS[corpus](path) is None

    @pytest.mark.parametrize("corpus", ADAPTERS)
    def test_speaks_of_emotions_by_the_shared_names(self, corpus: str) -> None:
        assert {labels.emotion for labels in NAMES[corpus].values()} <= EMOTIONS

    @pytest.mark.parametrize("corpus", ADAPTERS)
    def test_leaves_the_names_of_the_other_corpora_alone(self, corpus: str) -> None:
        others = [path for other in NAMES if other != corpus for path in NAMES[other]]
        assert [path for path in others if ADAPTERS[corpus](path)] == []

    def test_cremad_knows_48_men_and_43_women(self) -> None:
        assert Counter(cremad.GENDERS) == {"m": 48, "f": 43}


class TestDetect:
    @pytest.mark.parametrize("corpus", ADAPTERS)
    def test_each_corpus_is_known_by_its_names(self, corpus: str) -> None:
        assert detect([*NAMES[corpus], "README.txt", "unknown.wav"]) == corpus

    def test_an_index_goes_before_names(self) -> None:
        assert detect([*NAMES["emodb"], "index.csv"]) == "index"

    def test_unknown_names_are_refused_with_an_example_and_a_remedy(self) -> None:
        with pytest.raises(CorpusError, match=r"'x/clip1.wav'.*index.csv") as caught:
            detect(["x/clip1.wav"])
        assert caught.value.code == "unknown_format"

    def test_no_audio_is_refused(self) -> None:
        with pytest.raises(CorpusError, match="None of the 0"):
            detect(["03a01Fa.txt"])

    def test_two_corpora_in_one_are_refused_by_name(self) -> None:
        with pytest.raises(CorpusError, match="emodb and emovo") as caught:
            detect([*NAMES["emodb"], *NAMES["emovo"]])
        assert caught.value.code == "mixed_formats"


class TestDescribe:
    @pytest.mark.parametrize("corpus", ADAPTERS)
    def test_every_named_clip_stands_in_the_manifest(self, corpus: str) -> None:
        manifest, skipped = describe(list(NAMES[corpus]), corpus)
        assert [clip.path for clip in manifest] == sorted(NAMES[corpus])
        assert skipped == ()
        assert manifest.splits == ()

    def test_other_audio_is_skipped_with_the_reason_and_other_files_are_passed_over(self) -> None:
        manifest, skipped = describe(["03a01Fa.wav", "intro.wav", "notes.txt"], "emodb")
        assert len(manifest) == 1
        assert [(entry.path, "emodb" in entry.reason) for entry in skipped] == [("intro.wav", True)]

    def test_a_second_copy_of_a_clip_counts_once(self) -> None:
        manifest, skipped = describe(
            ["a/03a01Fa.wav", "b/03a01Fa.wav", "a/03a01Fa.flac", "a/03a01Nc.wav"], "emodb"
        )
        assert [clip.path for clip in manifest] == ["a/03a01Fa.flac", "a/03a01Nc.wav"]
        assert [entry.path for entry in skipped] == ["a/03a01Fa.wav", "b/03a01Fa.wav"]
        assert "a/03a01Fa.flac" in skipped[0].reason

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

"""Folds over speakers: each speaker is in the test once."""

from collections import Counter

import pytest
from pydantic import ValidationError

from models.corpus.folds import Fold
from models.corpus.manifest import CorpusError
from models.corpus.partition import check_disjoint
from tests.models.corpus.test_partition import corpus, speakers_of


class TestFold:
    @pytest.mark.parametrize("k", [2, 3, 7])
    def test_each_speaker_is_the_test_of_one_of_k(self, k: int) -> None:
        manifest = corpus(3, 4)
        tested: Counter[str] = Counter()
        for number in range(1, k + 1):
            parted = Fold(number=number, of=k).apply(manifest)
            check_disjoint(parted)
            assert parted.splits == ("train", "test")
            tested.update(parted.split("test").speakers)
        assert tested == Counter(manifest.speakers)

    def test_folds_have_as_many_of_each_gender(self) -> None:
        for number in (1, 2, 3):
            parted = Fold(number=number, of=3).apply(corpus(6, 3))
            assert [speakers_of(parted, "test", gender) for gender in "fm"] == [2, 1]

    def test_as_many_folds_as_speakers_leave_one_out(self) -> None:
        parted = Fold(number=2, of=5).apply(corpus(2, 3))
        assert len(parted.split("test").speakers) == 1

    def test_a_speaker_may_be_left_out_by_name(self) -> None:
        parted = Fold(speaker="f1").apply(corpus(2, 2))
        assert parted.split("test").speakers == ("f1",)
        assert parted.split("train").speakers == ("f0", "m0", "m1")

    def test_an_unknown_speaker_is_refused_with_those_that_there_are(self) -> None:
        with pytest.raises(CorpusError, match=r"'f9'.*f0, f1") as caught:
            Fold(speaker="f9").apply(corpus(2, 2))
        assert caught.value.code == "unknown_speaker"

    def test_more_folds_than_speakers_are_refused(self) -> None:
        with pytest.raises(CorpusError, match="4 speakers") as caught:
            Fold(number=1, of=5).apply(corpus(2, 2))
        assert caught.value.code == "too_few_speakers"

    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"number": 1},
            {"of": 2},
            {"number": 3, "of": 2},
            {"number": 1, "of": 2, "speaker": "f1"},
            {"number": 0, "of": 2},
            {"number": 1, "of": 101},
            {"speaker": ""},
        ],
    )
    def test_what_is_no_fold_is_refused(self, fields: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            Fold.model_validate(fields)

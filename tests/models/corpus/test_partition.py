"""Partitions: no speaker in two splits, genders and emotions balanced, always the same."""

from dataclasses import replace
from itertools import product

import pytest

from models.corpus.manifest import Clip, CorpusError, Manifest
from models.corpus.partition import (
    PartitionError,
    check_disjoint,
    check_variety,
    speaker_independent,
)

EMOTIONS = ("anger", "fear", "neutral")


def corpus(women: int, men: int, clips: int = 2) -> Manifest:
    """``clips`` of each emotion by each speaker; every third speaker is never afraid."""
    speakers = [(f"f{n}", "f") for n in range(women)] + [(f"m{n}", "m") for n in range(men)]
    return Manifest(
        tuple(
            Clip(f"{speaker}-{emotion}-{take}.wav", speaker, gender, emotion, "", 1.0, None)
            for (speaker, gender), emotion, take in product(speakers, EMOTIONS, range(clips))
            if not (emotion == "fear" and int(speaker[1:]) % 3 == 2)
        )
    )


def speakers_of(manifest: Manifest, split: str, gender: str) -> int:
    return len({clip.speaker for clip in manifest.split(split) if clip.gender == gender})


class TestCheckDisjoint:
    def test_a_speaker_in_two_splits_is_named_with_them(self) -> None:
        clips = [replace(clip, split="train") for clip in corpus(2, 2)]
        clips[0] = replace(clips[0], split="test")
        with pytest.raises(PartitionError, match=r"f0 \(train and test\)") as caught:
            check_disjoint(Manifest(tuple(clips)))
        assert caught.value.code == "speakers_overlap"
        assert caught.value.speakers == ("f0",)

    def test_ten_are_named_and_the_others_counted(self) -> None:
        clips = [
            replace(clip, split="train" if number % 2 else "dev")
            for number, clip in enumerate(corpus(12, 0))
        ]
        with pytest.raises(PartitionError, match="and 2 more") as caught:
            check_disjoint(Manifest(tuple(clips)))
        assert len(caught.value.speakers) == 12

    def test_clips_without_a_split_are_no_matter(self) -> None:
        clips = [replace(clip, split="train") for clip in corpus(1, 1)]
        check_disjoint(Manifest((replace(clips[0], split=None), *clips[1:])))


class TestCheckVariety:
    def test_one_class_is_refused(self) -> None:
        manifest = Manifest(tuple(clip for clip in corpus(2, 2) if clip.emotion == "anger"))
        with pytest.raises(CorpusError, match="anger") as caught:
            check_variety(manifest)
        assert caught.value.code == "one_class"

    def test_one_speaker_is_refused(self) -> None:
        with pytest.raises(CorpusError, match="'f0'") as caught:
            check_variety(corpus(1, 0))
        assert caught.value.code == "one_speaker"

    def test_no_clip_is_refused(self) -> None:
        with pytest.raises(CorpusError, match="none"):
            check_variety(Manifest(()))


class TestSpeakerIndependent:
    def test_no_speaker_is_in_two_splits_and_every_clip_in_one(self) -> None:
        manifest = speaker_independent(corpus(20, 30))
        check_disjoint(manifest)
        assert all(clip.split for clip in manifest)

    def test_only_the_splits_change(self) -> None:
        before = corpus(4, 5)
        after = speaker_independent(before)
        assert Manifest(tuple(replace(clip, split=None) for clip in after)) == before

    def test_speakers_are_shared_out_as_asked_within_each_gender(self) -> None:
        manifest = speaker_independent(corpus(20, 30))
        found = {
            split: tuple(speakers_of(manifest, split, gender) for gender in "fm")
            for split in manifest.splits
        }
        assert found == {"train": (12, 18), "dev": (4, 6), "test": (4, 6)}

    def test_emotions_are_shared_out_alike(self) -> None:
        manifest = speaker_independent(corpus(20, 30))
        fear = {
            split: manifest.split(split).counts("emotion")["fear"] / len(manifest.split(split))
            for split in manifest.splits
        }
        assert max(fear.values()) - min(fear.values()) < 0.01

    def test_a_rare_emotion_is_in_every_split(self) -> None:
        """Three of thirty are afraid: two of them in training would be nearer to 60 / 20 / 20."""
        afraid = {"f0", "f6", "m3"}
        clips = tuple(c for c in corpus(15, 15) if c.emotion != "fear" or c.speaker in afraid)
        parted = speaker_independent(Manifest(clips))
        assert all("fear" in parted.split(split).emotions for split in parted.splits)

    def test_every_split_gets_a_speaker_however_few_there_are(self) -> None:
        for women, men in [(3, 0), (0, 4), (1, 2), (2, 1), (1, 5)]:
            manifest = speaker_independent(corpus(women, men))
            assert manifest.splits == ("train", "dev", "test"), (women, men)

    def test_equal_seeds_give_equal_splits_and_others_do_not(self) -> None:
        manifest = corpus(20, 30)
        first = speaker_independent(manifest, seed=1)
        assert first == speaker_independent(manifest, seed=1)
        assert first != speaker_independent(manifest, seed=2)

    def test_it_does_not_depend_on_the_order_of_the_clips(self) -> None:
        manifest = corpus(6, 6)
        backwards = speaker_independent(Manifest(manifest.clips[::-1]))
        assert backwards.clips[::-1] == speaker_independent(manifest).clips

    def test_two_splits_may_be_asked_for(self) -> None:
        manifest = speaker_independent(corpus(2, 0), {"train": 0.5, "test": 0.5})
        assert manifest.splits == ("train", "test")

    def test_fewer_speakers_than_splits_are_refused_by_name(self) -> None:
        with pytest.raises(PartitionError, match=r"2 speakers .* train / dev / test") as caught:
            speaker_independent(corpus(2, 0))
        assert caught.value.code == "too_few_speakers"
        assert caught.value.speakers == ("f0", "f1")

    @pytest.mark.parametrize(
        "fractions",
        [{"train": 0.5}, {"train": 1.5, "test": -0.5}, {"train": 0.5, "exam": 0.5}, {}],
    )
    def test_fractions_that_make_no_sense_are_refused(self, fractions: dict[str, float]) -> None:
        with pytest.raises(ValueError, match="sum to 1"):
            speaker_independent(corpus(3, 3), fractions)

    def test_one_class_is_refused(self) -> None:
        manifest = Manifest(tuple(clip for clip in corpus(2, 2) if clip.emotion == "anger"))
        with pytest.raises(CorpusError, match="one emotion"):
            speaker_independent(manifest)

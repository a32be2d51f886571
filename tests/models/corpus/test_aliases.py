"""Emotions by other names: renamed on request, hinted at otherwise."""

from pathlib import Path

import pytest

from models.corpus.aliases import ALIASES, WORDS, hint, renamed
from models.corpus.labels import EMOTIONS
from models.corpus.manifest import Clip, CorpusError, Manifest

DOCS = Path(__file__).parents[3] / "docs" / "adding-a-corpus.md"


def clips(*emotions: str) -> Manifest:
    return Manifest(tuple(Clip(f"{e}.wav", "s", "", e, "", 1.0, None) for e in emotions))


def emotions(manifest: Manifest) -> list[str]:
    return [clip.emotion for clip in manifest]


class TestTable:
    def test_names_the_shared_emotions_and_no_name_is_two(self) -> None:
        assert set(WORDS) == EMOTIONS
        assert set(ALIASES) & EMOTIONS == set()
        assert sum(len(words.split()) for words in WORDS.values()) == len(ALIASES)

    def test_is_published_whole(self) -> None:
        text = DOCS.read_text(encoding="utf-8")
        for name, words in WORDS.items():
            assert f"| {name} | {words.replace(' ', ', ')} |" in text


class TestRenamed:
    def test_nothing_changes_unasked(self) -> None:
        assert renamed(clips("angry", "Wut")) == clips("angry", "Wut")

    def test_aliases_are_applied_to_all_that_have_one(self) -> None:
        found = renamed(clips("angry", "wut", "excited", "fear"), aliases=True)
        assert emotions(found) == ["anger", "anger", "excited", "fear"]

    def test_labels_go_before_aliases_and_may_say_anything(self) -> None:
        found = renamed(clips("happy", "sad"), {"happy": "joyful noise"}, aliases=True)
        assert emotions(found) == ["joyful noise", "sadness"]

    def test_labels_may_change_places(self) -> None:
        assert emotions(renamed(clips("a", "b"), {"a": "b", "b": "a"})) == ["b", "a"]

    def test_a_label_that_no_clip_has_is_refused_with_those_that_there_are(self) -> None:
        with pytest.raises(CorpusError, match=r"'agner'.*angry, sad") as caught:
            renamed(clips("sad", "angry"), {"agner": "anger"})
        assert caught.value.code == "unknown_label"


class TestHint:
    def test_says_how_to_upload_the_corpus_again(self) -> None:
        advice = hint(["angry", "excited"], ["anger", "fear"])
        assert advice is not None
        assert '"aliases": true or "labels": {"angry": "anger"}' in advice

    def test_speaks_of_labels_alone_where_the_model_has_the_other_name(self) -> None:
        advice = hint(["anger", "sad"], ["angry", "sadness"])
        assert advice is not None
        assert '"labels": {"anger": "angry", "sad": "sadness"}' in advice
        assert "aliases" not in advice

    def test_is_none_where_nothing_is_alike(self) -> None:
        assert hint(["excited", "boredom"], ["anger"]) is None

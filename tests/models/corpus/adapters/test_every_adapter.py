"""What holds for every registered adapter: one added is held to it by the names in its test file.

The test file of an adapter ``kitchen`` is ``test_kitchen.py`` beside this one. It has ``NAMES``,
some paths with what they tell, and ``FOREIGN``, paths that only look like
these.
"""

import importlib
from typing import Any

import pytest

from models.corpus import ADAPTERS, describe, detect
from models.corpus.labels import EMOTIONS, Labels


def names(corpus: str) -> dict[str, Labels]:
    found: dict[str, Labels] = _tests(corpus).NAMES
    return found


def foreign(corpus: str) -> list[str]:
    found: list[str] = _tests(corpus).FOREIGN
    return found


def _tests(corpus: str) -> Any:
    return importlib.import_module(f"tests.models.corpus.adapters.test_{corpus}")


@pytest.mark.parametrize("corpus", ADAPTERS)
class TestEveryAdapter:
    def test_reads_its_names(self, corpus: str) -> None:
        assert {path: ADAPTERS[corpus](path) for path in names(corpus)} == names(corpus)
        assert len(names(corpus)) >= 3

    def test_refuses_names_that_only_look_like_its_own(self, corpus: str) -> None:
        assert [path for path in foreign(corpus) if ADAPTERS[corpus](path)] == []
        assert foreign(corpus)

    @pytest.mark.parametrize("path", ["", "/", ".", "..", "README", "a\n.wav", "\0", "é.wav"])
    def test_answers_none_to_anything_else(self, corpus: str, path: str) -> None:
        assert ADAPTERS[corpus](path) is None

    def test_speaks_of_emotions_by_the_shared_names(self, corpus: str) -> None:
        assert {labels.emotion for labels in names(corpus).values()} <= EMOTIONS

    def test_leaves_the_names_of_the_other_corpora_alone(self, corpus: str) -> None:
        others = [path for other in ADAPTERS if other != corpus for path in names(other)]
        assert [path for path in others if ADAPTERS[corpus](path)] == []

    def test_is_known_by_its_names(self, corpus: str) -> None:
        assert detect([*names(corpus), "README.txt", "unknown.wav"]) == corpus

    def test_describes_every_clip_of_its_corpus(self, corpus: str) -> None:
        manifest, skipped = describe(list(names(corpus)), corpus)
        assert [clip.path for clip in manifest] == sorted(names(corpus))
        assert skipped == ()
        assert manifest.splits == ()


def test_the_public_ones_are_registered() -> None:
    public = {"casia", "cremad", "demos", "emodb", "emovo", "nemo", "ravdess", "savee"}
    assert public | {"shemo", "tess", "urdu"} <= set(ADAPTERS)

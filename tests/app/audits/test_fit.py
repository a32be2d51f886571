"""What stands beside a result when the model knows the speakers, under whatever name."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from sqlalchemy.orm import Session

from app.audits import fit
from app.audits.schemas import AuditRequest
from app.corpora.tables import Corpus
from app.persistence.storage import Storage
from models.checkpoint import ModelConfig
from models.corpus.index import INDEX_NAME
from models.corpus.manifest import Clip, Manifest
from models.corpus.remarks import remarks
from tests import speechless

LEARNT = {"corpus": "CREMA-D", "public_speakers": {"cremad": ["1001", "1002", "1003"]}}

Warn = Callable[..., list[str]]


def cremad(split_of: dict[str, str]) -> Manifest:
    """Clips named as in CREMA-D; their index may call the speakers what it likes."""
    return Manifest(
        tuple(
            Clip(f"{speaker}_DFA_{code}_XX.wav", f"actor {speaker}", "f", emotion, "", 0.6, split)
            for speaker, split in split_of.items()
            for code, emotion in (("ANG", "anger"), ("HAP", "happiness"))
        )
    )


@pytest.fixture
def warn(session: Session, storage: Storage) -> Warn:
    """The warnings of an audit on a second copy of CREMA-D, with another partition."""

    def warn(
        training: dict[str, Any], partition: str = "test", fold: Any = None, **changes: Any
    ) -> list[str]:
        splits = {"1001": "train", "1002": "test", "1050": "test", "1051": "dev"}
        corpus = speechless.add_corpus(session, storage, cremad(splits))
        for name, value in changes.items():
            setattr(corpus, name, value)
        config = ModelConfig("cnn4", ("anger", "happiness"), (0.0,) * 64, (1.0,) * 64)
        if training.get("corpus") == "this":
            training = training | {"corpus": corpus.id}
        request = AuditRequest.model_validate(
            {
                "model": "m",
                "corpus": corpus.id,
                "partition": partition,
                "fold": fold,
                "attacks": [{"type": "fgsm", "epsilon": [0.02]}],
            }
        )
        return fit.warnings(storage, replace(config, training=training), corpus, request)

    return warn


class TestSpeakersThatTheModelKnows:
    def test_are_named_in_another_upload_with_another_partition(self, warn: Warn) -> None:
        (warning,) = warn(LEARNT)
        assert warning == (
            "The model was trained on 1 of the 2 speakers of these clips (1002):"
            " on new speakers it does worse."
        )
        assert "2 of the 4 speakers" in warn(LEARNT, "all")[0]

    def test_are_none_in_a_partition_of_new_ones(self, warn: Warn) -> None:
        assert warn(LEARNT, "dev") == []

    @pytest.mark.parametrize(
        "known",
        [None, [], "cremad", {"emodb": ["1002"]}, {"cremad": "1002"}, {"cremad": None}],
        ids=str,
    )
    def test_are_not_guessed_from_what_an_uploaded_config_says(
        self, warn: Warn, known: object
    ) -> None:
        assert warn({"public_speakers": known}) == []

    def test_are_those_of_the_partition_that_was_learnt(self, warn: Warn) -> None:
        (warning,) = warn({"corpus": "this", "train_on": "train+dev"}, "dev")
        assert warning.startswith("The model was trained on train+dev of this corpus")
        assert warn({"corpus": "this", "train_on": "train+dev"}, "test") == []


class TestFolds:
    """A model that was trained on one fold is audited on another, or on the partition."""

    LEARNT: ClassVar = {"corpus": "this", "fold": {"speaker": "actor 1001"}}

    def test_the_same_fold_has_new_speakers(self, warn: Warn) -> None:
        assert warn(self.LEARNT, fold={"speaker": "actor 1001"}) == []

    def test_the_speakers_that_another_was_trained_on_are_named(self, warn: Warn) -> None:
        (warning,) = warn(self.LEARNT, fold={"speaker": "actor 1002"})
        assert "1 of the 1 speakers of these clips (actor 1002)" in warning

    def test_those_of_the_corpus_s_own_partition_too(self, warn: Warn) -> None:
        (warning,) = warn(self.LEARNT)
        assert "2 of the 2 speakers of these clips (actor 1002, actor 1050)" in warning


class TestSmallPartitions:
    def test_are_told_with_what_is_few_in_them(
        self, warn: Warn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fit, "remarks", remarks)
        found = warn({}, "dev")
        assert "dev has one speaker" in found[0]
        assert "anger (1), happiness (1)" in found[1]


class TestStrangeEmotions:
    def test_that_have_another_name_are_hinted_at(self, warn: Warn) -> None:
        part = {"test": {"clips": 5, "speakers": 2, "classes": {"anger": 3, "happy": 2}}}
        _, advice = warn({}, partitions=part)
        assert '"labels": {"happy": "happiness"}' in advice

    def test_are_counted(self, warn: Warn) -> None:
        part = {"test": {"clips": 5, "speakers": 2, "classes": {"anger": 2, "boredom": 3}}}
        assert warn({}, partitions=part) == [
            "Clips of emotions that the model does not know are left out: boredom (3 clips)."
        ]


@pytest.mark.parametrize("index", [None, b"", b"\xff", b"path,speaker\n"], ids=repr)
def test_a_corpus_whose_index_is_gone_or_damaged_is_left_to_the_audit(
    session: Session, storage: Storage, index: bytes | None
) -> None:
    corpus: Corpus = speechless.add_corpus(session, storage, cremad({"1001": "test"}))
    path = storage.corpus_dir(corpus.id) / INDEX_NAME
    path.unlink()
    if index is not None:
        path.write_bytes(index)
    config = ModelConfig("cnn4", ("anger", "happiness"), (0.0,) * 64, (1.0,) * 64, training=LEARNT)
    request = AuditRequest.model_validate(
        {"model": "m", "corpus": corpus.id, "attacks": [{"type": "fgsm", "epsilon": [0.02]}]}
    )
    assert fit.warnings(storage, config, corpus, request) == []

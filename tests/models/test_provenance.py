"""What a model says of its training is read where it can be, and kept whatever it is."""

import json
from typing import Any

import pytest

from models.checkpoint import ModelConfig
from models.defenses.trades import Trades
from models.provenance import Provenance
from models.training_plan import Recipe


def of(**training: Any) -> Provenance:
    config = ModelConfig("cnn4", ("a", "b"), (0.0,) * 64, (1.0,) * 64, training=training)
    return Provenance.of(ModelConfig.from_json(config.to_json()))


class TestProvenance:
    def test_is_read_as_it_was_written(self) -> None:
        written = Provenance(
            training="train_1",
            corpus="corpus_1",
            corpus_name="mine",
            train_on="train+dev",
            public_speakers={"cremad": ["1001", "1002"]},
            recipe=Recipe(defense=Trades(beta=3), epsilon=0.1),
            clips={"train": 3},
        )
        assert of(**written.to_dict()) == written

    def test_what_is_not_said_is_not_written(self) -> None:
        assert Provenance(corpus="corpus_1").to_dict() == {
            "corpus": "corpus_1",
            "train_on": "train",
        }

    @pytest.mark.parametrize(
        "training",
        [
            {},
            {"corpus": 5, "public_speakers": ["1001"], "train_on": "everything"},
            {"public_speakers": {"cremad": "1001"}, "recipe": "secret"},
            {"recipe": {"architecture": "transformer", "seed": 1}},
            {"recipe": {"warmup": 5}, "note": {"by": "someone else"}},
            {"clips": {"train": "many"}, "sample_rates_hz": 16_000, "corpus": None},
        ],
        ids=json.dumps,
    )
    def test_what_another_wrote_in_another_shape_counts_as_not_said(
        self, training: dict[str, Any]
    ) -> None:
        assert of(**training) == Provenance()

    def test_a_field_that_can_be_read_is_read_beside_one_that_cannot(self) -> None:
        found = of(corpus="corpus_1", public_speakers=3, by="someone else")
        assert found == Provenance(corpus="corpus_1")

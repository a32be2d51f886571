"""The example of docs/adding-a-corruption.md keeps the rules that the page tells."""

from collections.abc import Iterator

import pytest
import torch

from models.corruptions import Corruption, parse
from tests.models.corruptions import test_corruption
from tests.models.corruptions.sounds import generator
from tests.models.pages import added


@pytest.fixture
def dropout() -> Iterator[Corruption]:
    """The example, registered while the test runs."""
    with added("adding-a-corruption.md"):
        yield parse({"type": "dropout", "share": [0.05, 0.3]})


class TestAddingACorruption:
    def test_the_example_keeps_every_rule(self, dropout: Corruption) -> None:
        answer, value = test_corruption.TestTheAnswer(), test_corruption.TestTheObject()
        answer.test_is_a_finite_float32_waveform(dropout)
        answer.test_leaves_the_clip_as_it_was(dropout)
        answer.test_follows_from_the_generator_alone(dropout)
        answer.test_of_digital_silence_is_finite(dropout)
        for samples in (1, 511):
            answer.test_is_there_for_any_length(dropout, samples)
        value.test_comes_back_equal_from_json(dropout)
        value.test_is_frozen_and_hashable(dropout)
        value.test_its_strengths_are_no_parameters(dropout)
        value.test_has_a_unit_and_a_description_of_each_parameter(dropout)

    def test_the_example_is_what_it_says(self, dropout: Corruption) -> None:
        found = dropout.corrupt(torch.ones(320_000), 0.3, generator()).view(-1, 320)
        assert bool(((found == 0).all(dim=1) | (found == 1).all(dim=1)).all())
        assert float((found == 0).float().mean()) == pytest.approx(0.3, abs=0.05)

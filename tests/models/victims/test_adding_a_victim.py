"""The example of docs/adding-a-victim.md is a victim that attacks by scores run on."""

from typing import Any

import pytest
import torch

from models.attacks import Objective, parse
from models.rng import Rng
from models.victims import AccessDenied, Meter, Victim, View, metered
from tests.models.pages import added
from tests.models.victims.spectrogram import LABELS, inputs, victim


class TestAddingAVictim:
    def black_box(self) -> Victim:
        """The example of docs/adding-a-victim.md, around one of our own models."""
        with added("adding-a-victim.md") as names:
            made: Victim = names["BlackBox"](victim().view("waveform").scores, LABELS)
        return made

    def test_its_views_are_views(self) -> None:
        black_box = self.black_box()
        view = black_box.view("waveform")
        assert isinstance(view, View)
        x, _ = inputs("waveform")
        assert torch.equal(view.scores(x), victim().view("waveform").scores(x))
        with pytest.raises(LookupError, match="only sound"):
            black_box.view("features")

    @pytest.mark.parametrize(
        "given", [{"type": "noise", "draws": 3}, {"type": "square", "queries": 3}]
    )
    def test_attacks_that_ask_for_scores_run_on_it_and_are_counted(
        self, given: dict[str, Any]
    ) -> None:
        attack, (x, y) = parse({**given, "domain": "waveform"}), inputs("waveform")
        meter = Meter(len(x), attack.cost(3))
        view = metered(self.black_box().view("waveform"), meter, attack.needs, len(x))
        (found,) = attack.craft(view, x, y, [torch.full((4,), 0.01)], Rng(0, range(4)))
        assert bool((found.x != x).any())
        for spent in meter.costs():
            assert 1 <= spent.queries == spent.forwards <= 3
            assert spent.within(attack.cost(3))

    def test_it_has_no_gradient_to_give(self) -> None:
        x, y = inputs("waveform")
        with pytest.raises(AccessDenied, match="scores alone"):
            self.black_box().view("waveform").gradient(x, Objective(y))

    def test_it_knows_the_models_beside_it(self) -> None:
        view = self.black_box().view("waveform", {"mine": victim()})
        x, _ = inputs("waveform")
        own = victim().view("waveform").scores(x)
        assert torch.equal(view.other("mine").scores(x), own)
        with pytest.raises(LookupError, match="no model 'yours'"):
            view.other("yours")

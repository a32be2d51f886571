"""Similarity-based adversarial training: Eq. 4 with values worked out by hand, and its limits."""

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from models.defenses import DEFENSES
from models.defenses.similarity import Distance, Similarity, embedding_distance
from tests.models.defenses.by_hand import (
    ADVERSARIAL,
    ADVERSARIAL_LOSS,
    CLEAN,
    CLEAN_LOSS,
    LABELS,
    LN3,
    Transparent,
    given,
)
from tests.models.tiny import clips, tiny_net

# The embeddings differ by (ln 3, -3) and (ln 3, 4).
MSE = (LN3**2 + 3**2 + LN3**2 + 4**2) / 4
L2 = (math.sqrt(LN3**2 + 3**2) + math.sqrt(LN3**2 + 4**2)) / 2


class TestSimilarity:
    @pytest.mark.parametrize(("distance", "apart"), [("mse", MSE), ("l2", L2)])
    @pytest.mark.parametrize(("beta", "gamma"), [(0.4, 0.4), (0.0, 0.0), (0.2, 0.7), (0.5, 0.5)])
    def test_is_equation_4(
        self, beta: float, gamma: float, distance: Distance, apart: float, device: torch.device
    ) -> None:
        clean, adversarial, y = (part.to(device) for part in (CLEAN, ADVERSARIAL, LABELS))
        net = Transparent().to(device)
        defense = Similarity(beta=beta, gamma=gamma, distance=distance)
        loss = defense.loss(net, clean, y, given(net, adversarial))
        expected = beta * CLEAN_LOSS + gamma * ADVERSARIAL_LOSS + (1 - beta - gamma) * apart
        assert loss.item() == pytest.approx(expected, rel=1e-6)

    def test_weights_are_four_tenths_and_the_distance_mse_by_default(self) -> None:
        assert Similarity() == Similarity(beta=0.4, gamma=0.4, distance="mse")

    def test_the_two_distances_are_far_apart_on_real_embeddings(self) -> None:
        """Of 512 features that differ by .01: mse 1e-4, l2 .226. Hence the name."""
        v, v_adv = torch.zeros(3, 512), torch.full((3, 512), 0.01)
        assert float(embedding_distance(v, v_adv, "mse")) == pytest.approx(1e-4, rel=1e-5)
        assert float(embedding_distance(v, v_adv, "l2")) == pytest.approx(0.2262742, rel=1e-5)

    @pytest.mark.parametrize("distance", ["mse", "l2"])
    def test_equal_inputs_have_finite_gradients(self, distance: Distance) -> None:
        """The norm has a kink at zero, where the first adversarial batch may well be."""
        net = tiny_net().eval()
        x, y = clips()
        loss = Similarity(distance=distance).loss(net, x, y, given(net, x))
        loss.backward()  # type: ignore[no-untyped-call]
        for parameter in net.parameters():
            assert parameter.grad is not None
            assert bool(torch.isfinite(parameter.grad).all())

    def test_gradients_flow_through_both_embeddings(self) -> None:
        clean, adversarial = CLEAN.clone().requires_grad_(), ADVERSARIAL.clone().requires_grad_()
        net = Transparent()
        loss = Similarity(beta=0, gamma=0).loss(net, clean, LABELS, given(net, adversarial))
        for_clean, for_adversarial = torch.autograd.grad(loss, (clean, adversarial))
        torch.testing.assert_close(for_clean, -for_adversarial)
        assert bool((for_clean != 0).all())


class TestItsWeights:
    @pytest.mark.parametrize(
        ("weights", "field"),
        [
            ({"beta": -0.1}, "beta"),
            ({"beta": math.nan}, "beta"),
            ({"beta": 1.5}, "beta"),
            ({"gamma": -0.1}, "gamma"),
            ({"gamma": math.inf}, "gamma"),
            ({"beta": 0.6, "gamma": 0.5}, "gamma"),
            ({"beta": 0.7}, "gamma"),
            ({"distance": "cosine"}, "distance"),
            ({"alpha": 0.5}, "alpha"),
        ],
        ids=str,
    )
    def test_that_make_no_sense_are_refused_by_name(
        self, weights: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(ValidationError) as caught:
            DEFENSES.parse({"type": "similarity", **weights})
        assert [fault["loc"] for fault in caught.value.errors()] == [(field,)]

    def test_that_sum_to_more_than_one_are_told_their_sum(self) -> None:
        with pytest.raises(ValidationError, match=r"beta \+ gamma is 1\.1: give weights that sum"):
            Similarity(beta=0.6, gamma=0.5)

"""The example of docs/adding-an-attack.md keeps the rules that the page tells."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from models import threats
from models.attacks import AnyAttack, Attack, Objective, parse
from models.rng import Rng
from tests.models.attacks import test_attack
from tests.models.attacks.table import cases
from tests.models.pages import added
from tests.models.victims.spectrogram import inputs, victim


@pytest.fixture
def fast_fgsm() -> Iterator[type[Attack]]:
    """The example, registered while the test runs."""
    with added("adding-an-attack.md") as names:
        yield names["FastFgsm"]


class TestAddingAnAttack:
    def test_the_example_keeps_every_rule_in_every_threat_model(
        self, fast_fgsm: type[Attack]
    ) -> None:
        table = cases("fast-fgsm")
        assert {(case.attack.domain, case.attack.norm) for case in table} == set(threats.MEASURES)
        cpu = torch.device("cpu")
        pure, answer = test_attack.TestPurity(), test_attack.TestTheAnswer()
        alone, nothing = test_attack.TestTheClipAlone(), test_attack.TestNothingToGoBy()
        cost, value = test_attack.TestCost(), test_attack.TestTheObject()
        for case in table:
            pure.test_the_network_stays_as_it_was(case, cpu)
            pure.test_clip_label_and_radius_are_untouched(case, cpu)
            pure.test_draws_come_from_the_audit_alone(case)
            answer.test_at_radius_zero_is_an_equal_copy(case)
            answer.test_moves_the_clip_and_stays_in_the_budget_once_projected(case)
            answer.test_raises_its_own_loss_for_every_clip(case)
            alone.test_decides_whatever_the_batch_and_its_order(case)
            nothing.test_where_the_gradient_is_not_a_number_neither_is_the_answer(case)
            nothing.test_where_the_gradient_is_zero_nothing_moves(case)
            cost.test_is_told_beforehand(case)
            value.test_comes_back_equal_from_json(case)
            value.test_is_frozen_and_hashable(case)

    def test_the_example_is_what_it_says(self, fast_fgsm: type[Attack]) -> None:
        view = victim(dtype=torch.float64).view("features")
        x, y = inputs("features", dtype=torch.float64)
        radius = torch.full((4,), 0.1).double()
        found = parse({"type": "fast-fgsm", "step": 0.5}).run(view, x, y, radius, Rng(0, range(4)))
        start = x + 0.1 * Rng(0, range(4)).uniform(x.shape[1:], -1.0, 1.0).double()
        step = 0.05 * view.gradient(start, Objective(y)).gradient.sign()
        torch.testing.assert_close(found, x + (start + step - x).clamp(-0.1, 0.1))

    def test_the_schema_and_a_refusal_know_its_parameters(self, fast_fgsm: type[Attack]) -> None:
        adapter: TypeAdapter[Any] = TypeAdapter(list[AnyAttack])
        fields = adapter.json_schema()["$defs"]["FastFgsm"]["properties"]
        assert fields["step"]["description"] == "Of the radius."
        assert fields["draws"]["maximum"] == 100
        with pytest.raises(ValueError, match="draws") as refused:
            adapter.validate_python([{"type": "fast-fgsm", "epsilon": [0.1], "draws": 0}])
        assert refused.value.errors()[0]["loc"] == (0, "draws")  # type: ignore[attr-defined]

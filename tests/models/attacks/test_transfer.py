"""Transfer: crafted on one model, tried on another, which is never asked."""

from typing import Any, Final

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from models.attacks import ATTACKS, AnyAttack, Attack, TargetLabel, parse
from models.attacks.transfer import Transfer
from models.rng import Rng
from models.threats import ThreatModel
from models.victims import Access, Cost, Meter, View, metered
from tests.models.attacks.asked import Asked
from tests.models.attacks.trained import LABELS, LARGE, STRENGTHS, clips_of, every_threat, trained

SMALL: Final[list[dict[str, Any]]] = [
    {"from": "other", "attack": {"type": "pgd", "steps": 2}},
    {"from": "other", "attack": {"type": "fgsm", "goal": {"label": "sad"}}},
]

INNER: list[dict[str, Any]] = [
    {"type": "fgsm"},
    {"type": "pgd", "steps": 3, "restarts": 2},
    {"type": "mim", "steps": 3, "goal": "all_targets"},
    {"type": "apgd", "steps": 3, "goal": {"label": "high"}},
    {"type": "square", "queries": 8},
    {"type": "nes", "queries": 13, "samples": 4},
    {"type": "ensemble", "steps": 2, "queries": 4},
]
every_inner = pytest.mark.parametrize("inner", INNER, ids=[one["type"] for one in INNER])

N = 6


def of_threat(inner: dict[str, Any], threat: ThreatModel) -> dict[str, Any]:
    """The attack with this threat model and two strengths."""
    key = threat.domain, threat.norm
    strengths = {threat.strength_name: [STRENGTHS[key], LARGE[key]]}
    return inner | {"domain": threat.domain, "norm": threat.norm} | strengths


def crafted(attack: Attack, view: View, x: Tensor, y: Tensor) -> list[Any]:
    radii = [attack.threat.radius(x, strength) for strength in attack.strengths]
    return list(attack.craft(view, x, y, radii, Rng(7, range(len(x)))))


class TestTwins:
    @every_inner
    @every_threat
    def test_of_the_same_weights_give_what_the_attack_gives_on_the_victim(
        self, threat: ThreatModel, inner: dict[str, Any]
    ) -> None:
        inner = of_threat(inner, threat)
        x, y = clips_of(threat.domain, N)
        view = trained().view(threat.domain, {"twin": trained()})
        white_box = crafted(parse(inner), view, x, y)
        attack = parse({"type": "transfer", "from": "twin", "attack": inner})
        transferred = crafted(attack, view, x, y)
        for one, expected in zip(transferred, white_box, strict=True):
            assert torch.equal(one.x, expected.x)
            assert one.details == expected.details


class TestAnotherModel:
    def test_is_attacked_in_place_of_the_victim_which_is_never_asked(self) -> None:
        x, y = clips_of("features", N)
        other = trained(seed=2)
        inner = Asked.of(trained().view("features", {"other": other}), N)
        attack = parse({
            "type": "transfer", "from": "other",
            "attack": {"type": "pgd", "steps": 4, "epsilon": [0.1]},
        })  # fmt: skip
        meter = Meter(N, attack.cost(3))
        view = metered(inner, meter, attack.needs, N)
        (found,) = crafted(attack, view, x, y)
        expected = crafted(parse(attack.model_dump()["attack"]), other.view("features"), x, y)
        torch.testing.assert_close(found.x, expected[0].x, rtol=0, atol=1e-6)
        assert not any(inner.queries.values())
        assert meter.costs() == [Cost(forwards=5, backwards=4)] * N
        assert attack.needs == Access.LABELS

    def test_of_scores_alone_is_no_query_of_the_victim(self) -> None:
        x, y = clips_of("features", N)
        attack = parse({
            "type": "transfer", "from": "other",
            "attack": {"type": "square", "queries": 9, "epsilon": [0.001]},
        })  # fmt: skip
        meter = Meter(N, attack.cost(3))
        seen = trained().view("features", {"other": trained(seed=2)})
        crafted(attack, metered(seen, meter, attack.needs, N), x, y)
        assert all(cost.queries == cost.backwards == 0 for cost in meter.costs())
        assert max(cost.forwards for cost in meter.costs()) == 9

    def test_that_the_audit_does_not_have_is_named(self) -> None:
        x, y = clips_of("features", N)
        attack = parse(
            {"type": "transfer", "from": "nowhere", "attack": {"type": "fgsm", "epsilon": [0.1]}}
        )
        with pytest.raises(LookupError, match="nowhere"):
            crafted(attack, trained().view("features"), x, y)


PGD = {"type": "pgd", "steps": 3, "epsilon": [0.1, 0.2], "labels": "predicted"}


class TestTheObject:
    @every_inner
    @every_threat
    def test_can_be_treated_as_the_attack_inside(
        self, threat: ThreatModel, inner: dict[str, Any]
    ) -> None:
        inner = of_threat(inner, threat) | {"labels": "predicted", "minimum": True}
        own, attack = parse(inner), parse({"type": "transfer", "from": "m", "attack": inner})
        for name in (
            "domain", "norm", "epsilon", "snr_db", "labels", "goal", "minimum", "threat",
            "strengths", "needs_strengths", "targeted", "exact_cost", "control",
        ):  # fmt: skip
            assert getattr(attack, name) == getattr(own, name), name
        assert attack.sources == ("m",)
        cost, said = own.cost(3, 2), attack.cost(3, 2)
        assert said == Cost(cost.forwards, cost.backwards, 0)
        assert attack.run_cost(3).forwards == own.run_cost(3).forwards
        assert attack.runs(3) == own.runs(3)

    @every_inner
    @every_threat
    def test_comes_back_equal_from_json(self, threat: ThreatModel, inner: dict[str, Any]) -> None:
        given = {"type": "transfer", "from": "m", "attack": of_threat(inner, threat)}
        attack = parse(given)
        said = attack.model_dump(mode="json")
        assert set(said) == {"type", "from", "attack", "minimum"}
        again = parse(said)
        assert again == attack
        assert hash(again) == hash(attack)
        assert TypeAdapter(AnyAttack).validate_json(attack.model_dump_json()) == attack

    def test_in_a_list_is_dumped_by_what_a_request_calls_its_fields(self) -> None:
        adapter = TypeAdapter(list[AnyAttack])
        attacks = adapter.validate_python([{"type": "transfer", "from": "m", "attack": PGD}])
        (said,) = adapter.dump_python(attacks, mode="json")
        assert said["from"] == "m"
        assert adapter.validate_python([said]) == attacks

    def test_may_be_made_by_name_and_of_an_attack(self) -> None:
        inner = parse(PGD)
        made = Transfer(source="m", attack=inner)
        assert made == parse({"type": "transfer", "from": "m", "attack": PGD})
        assert made.strengths == (0.1, 0.2)

    def test_its_identity_knows_source_and_attack_and_no_strength(self) -> None:
        def identity(source: str = "m", **more: Any) -> str:
            return parse({"type": "transfer", "from": source, "attack": PGD | more}).identity()

        assert identity(epsilon=[0.3], minimum=True) == identity()
        assert len({identity(), identity("n"), identity(steps=4), identity(type="mim")}) == 4

    def test_its_parameters_hold_those_of_the_attack_inside(self) -> None:
        attack = parse({"type": "transfer", "from": "m", "attack": PGD})
        assert attack.parameters() == {
            "from": "m",
            "attack": {"type": "pgd"} | parse(PGD).parameters(),
        }
        assert attack.describe() == "PGD, labels predicted, steps 3, crafted on m"

    def test_its_schema_offers_nothing_that_it_refuses(self) -> None:
        schema = TypeAdapter(AnyAttack).json_schema()
        assert set(schema["$defs"]["Transfer"]["properties"]) == {
            "type", "from", "attack", "minimum",
        }  # fmt: skip
        assert set(schema["$defs"]["Transfer"]["required"]) == {"from", "attack"}


def refusals(value: dict[str, Any]) -> list[tuple[str, str]]:
    """(where, why) of each fault in a request's list of attacks."""
    try:
        TypeAdapter(dict[str, list[AnyAttack]]).validate_python({"attacks": [value]})
    except ValidationError as error:
        return [(".".join(map(str, one["loc"])), one["msg"]) for one in error.errors()]
    return []


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("epsilon", [0.1]), ("snr_db", [40]), ("domain", "features"), ("norm", "l2"),
            ("labels", "true"), ("goal", "untargeted"),
        ],
    )  # fmt: skip
    def test_outside_what_belongs_inside(self, field: str, value: object) -> None:
        given = {"type": "transfer", "from": "m", "attack": PGD, field: value}
        assert refusals(given) == [
            (f"attacks.0.{field}", "belongs inside: give it as a field of attack")
        ]

    def test_inside_what_the_attack_refuses_with_its_place(self) -> None:
        given = {"type": "transfer", "from": "m", "attack": PGD | {"epsilon": [-1], "steps": 0}}
        assert {where for where, _ in refusals(given)} == {
            "attacks.0.attack.epsilon.0", "attacks.0.attack.steps",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("inner", "where", "why"),
        [
            ({"type": "transfer", "from": "n", "attack": PGD}, "attack", "is a transfer itself"),
            ({"type": "noise", "epsilon": [0.1]}, "attack", "noise has no adversary"),
            ({"type": "nothing"}, "attack.type", "'nothing' is unknown"),
            ("pgd", "attack", "give an object with a type"),
        ],
    )
    def test_an_attack_that_cannot_be_transferred(
        self, inner: object, where: str, why: str
    ) -> None:
        (refusal,) = refusals({"type": "transfer", "from": "m", "attack": inner})
        assert refusal[0] == f"attacks.0.{where}"
        assert why in refusal[1]

    def test_what_is_missing(self) -> None:
        assert {where for where, _ in refusals({"type": "transfer"})} == {
            "attacks.0.from", "attacks.0.attack",
        }  # fmt: skip
        attack = parse({"type": "transfer", "from": "m", "attack": {"type": "pgd"}})
        assert attack.needs_strengths == "attack.epsilon"

    def test_labels_that_the_attack_cannot_be_run_with(self) -> None:
        inner = {"type": "pgd", "goal": {"label": "joy"}}
        attack = parse({"type": "transfer", "from": "m", "attack": inner})
        assert isinstance(attack.goal, TargetLabel)
        fault = attack.unsuited(LABELS)
        assert fault is not None
        assert (fault.field, fault.value) == ("attack.goal.label", "joy")
        fine = parse({"type": "transfer", "from": "m", "attack": {"type": "apgd", "loss": "dlr"}})
        assert fine.unsuited(LABELS) is None
        fault = fine.unsuited(LABELS[:2])
        assert fault is not None
        assert fault.field == "attack.loss"


def test_it_is_registered() -> None:
    assert ATTACKS["transfer"] is Transfer

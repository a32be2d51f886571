"""The names of an audit's figures."""

import pytest

from app.gates.audit import AuditResult, Figure
from app.gates.comparison import Comparison, deltas
from app.gates.errors import GateError
from app.gates.expression import parse
from app.gates.names import MOST_NAMED, Term, find, terms
from models.attacks import Attack
from models.attacks import parse as attack
from models.audit.measures import MEASURES
from tests.app.gates.results import ATTACKS, result


def known(attacks: tuple[Attack, ...] = ATTACKS) -> list[Term]:
    return terms(AuditResult.model_validate(result(attacks)))


def meant(condition: str, known: list[Term]) -> str:
    return find(parse(condition), known).full


class TestNames:
    def test_are_all_measures_of_all_points_and_no_two_are_equal(self) -> None:
        names = [term.full for term in known()]
        of_points = {
            name
            for name, one in MEASURES.items()
            if "point" in one.taken_of and not one.of_detector  # which this audit was not asked for
        }
        for name in of_points:
            assert {f"{name}:fgsm@0.02", f"{name}:fgsm@0.1", f"{name}:noise@0.02"} <= set(names)
        assert {"clean_uar", "worst_uar:features/linf@0.02"} <= set(names)
        assert len(set(names)) == len(names)

    @pytest.mark.parametrize(
        ("condition", "name"),
        [
            ("clean_uar.low < 1", "clean_uar"),
            ("worst_uar@0.02 < 1", "worst_uar:features/linf@0.02"),
            ("worst_uar:features@2e-2 < 1", "worst_uar:features/linf@0.02"),
            ("success_rate:noise < 1", "success_rate:noise@0.02"),
            ("success_rate@0.1 < 1", "success_rate:fgsm@0.1"),
        ],
    )
    def test_what_goes_without_saying_may_be_left_out(self, condition: str, name: str) -> None:
        assert meant(condition, known()) == name

    def test_two_attacks_of_a_type_are_told_apart_by_their_index(self) -> None:
        several = tuple(
            attack({"type": "pgd", "steps": steps, "epsilon": [0.02]}) for steps in (1, 2)
        )
        assert meant("uar:pgd#1@0.02 < 1", known(several)) == "uar:pgd#1@0.02"
        with pytest.raises(GateError, match=r"names 2 figures.* uar:pgd#0@0.02, uar:pgd#1@0.02"):
            meant("uar:pgd@0.02 < 1", known(several))

    def test_the_smallest_strengths_are_figures_too(self) -> None:
        names = {term.full for term in known((attack({"type": "fgsm", "epsilon": [0.1],
                                                      "minimum": True}),))}  # fmt: skip
        assert "smallest_median:fgsm" in names


class TestUnknownNames:
    @pytest.mark.parametrize(
        ("condition", "near"),
        [
            ("worst_uar@0.03 < 1", "worst_uar:features/linf@0.02"),
            ("sucess_rate:fgsm@0.02 < 1", "success_rate:fgsm@0.02"),
            ("clean_war < 1", "clean_uar"),
            ("uar:pgd@0.02 < 1", "uar:fgsm@0.02"),
        ],
    )
    def test_are_told_the_nearest_first_and_not_too_many(self, condition: str, near: str) -> None:
        with pytest.raises(GateError) as caught:
            meant(condition, known())
        listed = str(caught.value).partition(": ")[2].split(", ")
        assert near in listed[:3]
        assert len(listed) == MOST_NAMED
        assert "more." in listed[-1]

    def test_a_delta_needs_a_baseline(self) -> None:
        with pytest.raises(GateError, match="A delta needs a baseline"):
            meant("delta_worst_uar@0.02.high < 0", known())


class TestDeltas:
    def test_are_named_as_the_figures_that_they_are_of(self) -> None:
        found = AuditResult.model_validate(result())
        threat = {"domain": "features", "norm": "linf", "unit": "sigma"}
        one = {"value": -0.1, "interval": [-0.2, -0.01], "n": 24, "n_speakers": 8, "figure": "uar"}
        fgsm = found.attacks[0]
        told = [
            one | {"case": "clean", "threat": None, "strength": None},
            one | {"case": "worst_case", "threat": threat, "strength": 0.02},
            one
            | {
                "case": "point",
                "threat": threat,
                "strength": 0.1,
                "attack": "fgsm",
                "parameters": fgsm.parameters,
            },
        ]
        named = deltas(Comparison.model_validate({"deltas": told}), found)
        assert [term.full for term in named] == [
            "delta_clean_uar",
            "delta_worst_uar:features/linf@0.02",
            "delta_uar:fgsm@0.1",
        ]
        term = find(parse("delta_worst_uar@0.02.high < 0"), terms(found, named))
        assert isinstance(term.figure, Figure)
        assert term.figure.interval == (-0.2, -0.01)

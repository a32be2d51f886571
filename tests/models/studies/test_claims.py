"""The paper's claims, judged."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from models.studies.answers import Change
from models.studies.claims import Claim, ClaimsTable, Evidence, verdict
from models.studies.estimate import Difference
from models.studies.outcome import CellOutcome
from models.studies.tables import PerformanceTable
from tests.models.studies.made import EPSILONS, cell, shares, study


def judged(*cells: CellOutcome) -> dict[tuple[int, Change], Claim]:
    findings = study(*cells)
    table = ClaimsTable.of(findings, PerformanceTable.of(findings))
    return {(one.number, one.change): one for one in table.claims}


def evidence(value: float, interval: tuple[float, float] | None) -> Evidence:
    found = Difference(
        value=value, interval=interval, of_a=0.5, of_b=0.5 + value, n=100, n_speakers=10,
        seeds_a=[0], seeds_b=[0], drawn="speakers", trained_on="train", p=0.5, z=None, z_p=None,
        mcnemar=None,
    )  # fmt: skip
    return Evidence(words="", difference=found)


ABOVE, BELOW, OVER = (
    evidence(0.1, (0.05, 0.15)),
    evidence(-0.1, (-0.15, -0.05)),
    evidence(0.01, (-0.05, 0.07)),
)
NEGATIVE = evidence(-0.01, (-0.07, 0.05))


class TestVerdict:
    @pytest.mark.parametrize(
        ("found", "expected"),
        [
            ([ABOVE, ABOVE], "holds"),
            ([ABOVE, OVER], "undecided"),
            ([ABOVE, NEGATIVE], "undecided"),
            ([ABOVE, BELOW], "does not hold"),
            ([NEGATIVE, NEGATIVE], "undecided"),
            ([BELOW, BELOW], "does not hold"),
            ([ABOVE, Evidence(words="", missing="why")], "not tested"),
            ([evidence(0.1, None)], "undecided"),
            ([], "not tested"),
        ],
    )
    def test_follows_the_intervals(self, found: list[Evidence], expected: str) -> None:
        assert verdict(found) == expected


def falling(*uars: float) -> Mapping[tuple[int, float], float]:
    return {(n, at): share for n in range(3) for at, share in zip(EPSILONS, uars, strict=True)}


class TestClaims:
    def test_adversarial_clips_help_on_real_speech(self) -> None:
        better = (cell(clean=0.4), cell("vanilla", 0.02, clean=0.9),
                  cell("similarity", 0.02, clean=0.9))  # fmt: skip
        assert judged(*better)[1, "clean"].verdict == "holds"
        worse = (cell(clean=0.9), cell("vanilla", 0.02, clean=0.4),
                 cell("similarity", 0.02, clean=0.4))  # fmt: skip
        assert judged(*worse)[1, "clean"].verdict == "does not hold"
        assert "vanilla .02 − single" in judged(*better)[1, "clean"].evidence[0].words

    def test_similarity_beats_vanilla_is_judged_under_each_attack(self) -> None:
        found = judged(
            cell("vanilla", 0.06, attacked=shares(0.3, 0.8, 0.9)),
            cell("similarity", 0.06, attacked=shares(0.9, 0.2, 0.9)),
        )
        assert found[2, "fgsm"].verdict == "holds"
        assert found[2, "pgd10"].verdict == "does not hold"
        assert "ε = .06" in found[2, "fgsm"].evidence[0].words

    def test_the_curve_falls(self) -> None:
        found = judged(cell(clean=0.95, attacked=falling(0.6, 0.2)))
        assert found[3, "fgsm"].verdict == "holds"

    def test_a_curve_that_rises_on_its_way_does_not_fall(self) -> None:
        found = judged(cell(clean=0.95, attacked=falling(0.1, 0.6)))[3, "fgsm"]
        assert found.verdict == "does not hold"
        drop, step = found.evidence
        assert drop.words == "cnn4 single: real − ε .06, FGSM"
        assert step.words == "cnn4 single: ε .02 − ε .06, FGSM"
        assert step.difference is not None
        assert step.difference.value < 0

    def test_in_a_worst_case_no_curve_rises(self) -> None:
        """What a smaller ε has broken stays broken."""
        found = judged(cell(clean=0.95, attacked=falling(0.1, 0.6)))[3, "worst_case"]
        assert (found.verdict, len(found.evidence)) == ("holds", 1)

    def test_a_step_is_held_against_the_number_of_steps(self) -> None:
        """p of the one that rises is .025: of one network's two steps that tells, of six not."""
        rises = cell(clean=0.95, attacked=falling(0.4, 0.65), seed=1)
        level = [
            cell(clean=0.95, attacked=falling(0.4, 0.4), architecture=name, seed=1)
            for name in ("resnet50", "vgg16")
        ]
        assert judged(rises)[3, "fgsm"].verdict == "does not hold"
        among = judged(rises, *level)[3, "fgsm"]
        assert [one.words for one in among.evidence] == [
            f"{name} single: real − ε .06, FGSM" for name in ("cnn4", "resnet50", "vgg16")
        ]
        assert among.verdict == "undecided"

    def test_networks_are_ranked_only_if_all_three_were_tested(self) -> None:
        def network(name: str, share: float) -> CellOutcome:
            return cell("vanilla", 0.06, architecture=name, attacked=shares(share, share, 0.9))

        three = (network("vgg16", 1.0), network("cnn4", 0.5), network("resnet50", 0.0))
        assert judged(*three)[4, "fgsm"].verdict == "holds"
        two = judged(*three[:2])[4, "fgsm"]
        assert two.verdict == "not tested"
        assert [one.missing for one in two.evidence] == [
            None, "resnet50 not in the study", "resnet50 not in the study",
        ]  # fmt: skip

    def test_the_gain_is_significant_by_interval_and_by_the_papers_test(self) -> None:
        found = judged(cell(clean=0.4), cell("vanilla", 0.02, clean=0.9))[5, "clean"]
        one = found.evidence[0].difference
        assert found.verdict == "holds"
        assert one is not None
        assert one.z_p is not None
        assert one.z_p < 0.001

    def test_an_interval_alone_is_not_the_papers_significance(self) -> None:
        """Some seeds apart, speakers alike: p of z of 48 clips stays above .001."""
        found = judged(cell(clean=0.72), cell("vanilla", 0.02, clean=0.9))[5, "clean"]
        one = found.evidence[0].difference
        assert one is not None
        assert one.z_p is not None
        assert one.z_p > 0.001
        assert found.verdict == "undecided"

    def test_what_was_not_trained_is_not_tested(self) -> None:
        found = judged(cell())
        assert {key: one.verdict for key, one in found.items() if key[0] != 3} == {
            (1, "clean"): "not tested",
            (2, "fgsm"): "not tested",
            (2, "pgd10"): "not tested",
            (2, "worst_case"): "not tested",
            (4, "fgsm"): "not tested",
            (4, "pgd10"): "not tested",
            (4, "worst_case"): "not tested",
            (5, "clean"): "not tested",
        }

    def test_a_network_without_one_of_the_trainings_is_not_judged(self) -> None:
        """Of three networks one has both: that the others' vanilla training is worse has no say."""
        worse = [
            one
            for name in ("resnet50", "vgg16")
            for one in (
                cell(architecture=name, clean=0.9),
                cell("vanilla", 0.02, architecture=name, clean=0.3),
            )
        ]
        findings = study(
            cell(clean=0.4), cell("vanilla", 0.02, clean=0.9), cell("similarity", 0.02, clean=0.9),
            *worse,
        )  # fmt: skip
        table = ClaimsTable.of(findings, PerformanceTable.of(findings))
        claim = table.claims[0]
        assert (claim.verdict, claim.not_tested) == ("holds", ["resnet50", "vgg16"])
        claims, evidence = table.sheets()
        assert claims.rows[0][3:] == ("holds", "2 / 2 of 6")
        assert "Claim 1, real: not tested on resnet50, vgg16." in claims.notes
        assert (
            "vgg16: vanilla .02 − single, real test clips: not judged, as another difference that"
            " the claim takes of the network is missing."
        ) in evidence.notes
        assert (
            "vgg16: similarity − single, real test clips: similarity was not audited on dev."
        ) in evidence.notes

    def test_models_that_learnt_from_different_data_are_not_compared(self) -> None:
        """Each with its own train+dev where both have it, both on train where one has not."""

        def on_both(
            one: str, clean: float, seed: int = 0, epsilon: float | None = 0.02
        ) -> CellOutcome:
            return cell(one, epsilon, seed, clean=clean, partitions=("test",), train_on="train+dev")

        single = (cell(clean=0.4), on_both("single", 0.95, 3, None))
        trainings = [cell(one, 0.02, clean=0.9) for one in ("vanilla", "similarity")]
        found = judged(*single, *trainings)[1, "clean"]
        assert found.verdict == "holds"
        assert [one.difference and one.difference.trained_on for one in found.evidence] == [
            "train", "train",
        ]  # fmt: skip
        whole = [on_both(one, 0.9) for one in ("vanilla", "similarity")]
        found = judged(*single, *trainings, *whole)[1, "clean"]
        assert found.verdict != "holds"
        assert [one.difference and one.difference.trained_on for one in found.evidence] == [
            "train+dev", "train+dev",
        ]  # fmt: skip

    def test_a_network_whose_cells_failed_is_told_and_does_not_stop_the_others(self) -> None:
        failed = replace(
            cell("vanilla", 0.02, architecture="vgg16"), audits={}, missing="the training failed"
        )
        found = judged(
            cell(clean=0.4), cell("vanilla", 0.02, clean=0.9),
            cell("similarity", 0.02, clean=0.9), failed,
        )[1, "clean"]  # fmt: skip
        assert found.verdict == "holds"
        assert [one.words for one in found.evidence if one.missing] == [
            "vgg16: vanilla − single, real test clips",
            "vgg16: similarity − single, real test clips",
        ]

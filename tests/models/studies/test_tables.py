"""Tables 1 to 3, tests, transfer and costs."""

from dataclasses import replace

import pytest
from statsmodels.stats.multitest import multipletests

from models.attacks import parse
from models.attacks.pgd import Pgd
from models.audit.summary import points
from models.corpus.manifest import Clip, Manifest
from models.studies import paper
from models.studies.answers import CLEAN, Answers, Condition, answers
from models.studies.estimate import OTHER_DATA, Difference, difference, estimate
from models.studies.outcome import CellOutcome
from models.studies.tables import (
    BaselinesTable,
    CostsTable,
    PartitionTable,
    PerformanceTable,
    SignificanceTable,
    TransferTable,
)
from models.studies.tables.curves import CurvesTable
from models.studies.tables.performance import PerformanceRow
from models.studies.tables.table import Entry, Sheet
from models.studies.tables.table import difference as with_interval
from tests.models.audit.rows import row, under
from tests.models.studies.made import EPSILONS, audited, cell, shares, study
from tests.models.studies.test_estimate import made

FAILED = CellOutcome(
    name="cnn4-vanilla-0.02-0",
    architecture="cnn4",
    training="vanilla",
    epsilon=0.02,
    seed=0,
    missing="the training failed: no memory",
)


def value(entry: Entry) -> float:
    assert entry.estimate is not None
    return entry.estimate.value


def uar(of: CellOutcome, partition: str, condition: Condition = CLEAN) -> float:
    found = answers([of], partition, condition)  # type: ignore[arg-type]
    assert isinstance(found, Answers)
    return estimate(found).value


def sheet(found: list[Sheet], name: str) -> Sheet:
    return next(one for one in found if one.name == name)


class TestPartition:
    CLIPS = Manifest(
        tuple(
            Clip(f"{n}.wav", f"s{n % 5}", "fm"[n % 5 % 2] if n % 5 else "", emotion, "", 1.0, split)
            for n, (emotion, split) in enumerate(
                [("joy", "train"), ("fear", "dev"), ("joy", "test"), ("joy", "train"),
                 ("fear", "test"), ("fear", "train"), ("joy", "dev")]
            )
        )
    )  # fmt: skip

    def test_counts_speakers_and_clips_by_partition(self) -> None:
        (found,) = PartitionTable.of(self.CLIPS).sheets()
        assert found.heads == ("", "train", "dev", "test", "Σ", "f : m")
        assert [line[:5] for line in found.rows] == [
            ("speakers", "2", "1", "2", "5"),
            ("fear", "1", "1", "1", "3"),
            ("joy", "2", "1", "1", "4"),
            ("all clips", "3", "2", "2", "7"),
        ]

    def test_tells_women_men_and_whose_gender_is_unknown(self) -> None:
        table = PartitionTable.of(self.CLIPS)
        assert table.speakers.genders == "2 : 2 (1 unknown)"
        assert table.clips.genders == "2 : 3 (2 unknown)"

    def test_of_a_corpus_that_was_deleted_is_no_row_of_zeros(self) -> None:
        table = PartitionTable.of(Manifest(()))
        (found,) = table.sheets()
        assert (found.rows, found.notes) == ((), ("The corpus is not at hand any more.",))
        assert [one.missing for one in table.records()] == ["the corpus is not at hand any more"]


def test_an_interval_of_a_difference_tells_on_which_side_of_0_it_ends() -> None:
    found = difference(made(1, 3), made(2, 3))
    assert isinstance(found, Difference)
    told = [
        with_interval(found.model_copy(update={"value": 0.014, "interval": (low, 0.03)}))
        for low in (0.002, -0.002)
    ]
    assert told == ["+.014 [.002, .030]", "+.014 [−.002, .030]"]


class TestPerformance:
    def row(self, table: PerformanceTable, training: str, epsilon: float | None) -> PerformanceRow:
        return next(r for r in table.rows if (r.training, r.epsilon) == (training, epsilon))

    def test_dev_is_of_models_trained_on_train_and_test_of_those_trained_on_both(self) -> None:
        on_train = cell("vanilla", 0.02, clean=0.9)
        on_both = cell("vanilla", 0.02, clean=0.6, train_on="train+dev", seconds=99.0)
        table = PerformanceTable.of(study(on_train, on_both))
        real = self.row(table, "vanilla", 0.02).figures["clean"]
        assert value(real["dev"]) == uar(on_train, "dev")
        assert value(real["test"]) == uar(on_both, "test")
        assert real["test"].estimate is not None
        assert real["test"].estimate.trained_on == "train+dev"
        assert "trained on train alone" not in str(list(table.sheets()))

    def test_without_a_model_trained_on_both_the_table_says_so(self) -> None:
        findings = study(cell("vanilla", 0.02))
        table = PerformanceTable.of(findings)
        baselines = BaselinesTable.of(findings, table)
        sheets = [*table.sheets(), *baselines.sheets(), *CurvesTable.of(findings).sheets()]
        told = "All test figures are of models that were trained on train alone"
        assert [one.name for one in sheets if told in str(one.notes)] == [
            "performance", "performance-cnn4", "chosen", "baselines", "curves-fgsm-test",
            "curves-pgd10-test", "curves-worst-case-test", "curves-noise-test",
        ]  # fmt: skip

    def test_where_some_models_are_trained_on_both_the_table_says_which_are_not(self) -> None:
        findings = study(cell("vanilla", 0.02), cell(train_on="train+dev", partitions=("test",)))
        notes = sheet(list(PerformanceTable.of(findings).sheets()), "performance").notes
        assert notes[0].startswith("The test figures of cnn4 vanilla .02 are of models")

    def test_adversarial_clips_are_of_the_epsilon_of_the_training(self) -> None:
        told = {(0, 0.02): 0.9, (0, 0.06): 0.1, **{(n, e): 0.5 for n in (1, 2) for e in EPSILONS}}
        one = cell("vanilla", 0.06, attacked=told)
        table = PerformanceTable.of(study(one))
        (found,) = table.rows
        assert value(found.figures["fgsm"]["test"]) == uar(one, "test", Condition("fgsm", 0.06))
        assert value(found.figures["fgsm"]["test"]) < 0.3

    def test_a_training_without_an_epsilon_is_attacked_at_every_one(self) -> None:
        table = PerformanceTable.of(study(cell()))
        assert [r.epsilon for r in table.rows] == [None, *EPSILONS]
        assert list(table.rows[0].figures) == ["clean"]
        assert "clean" not in table.rows[1].figures

    def test_the_papers_figures_stand_beside_ours(self) -> None:
        table = PerformanceTable.of(study(cell("vanilla", 0.02), cell()))
        figures = self.row(table, "vanilla", 0.02).figures
        assert (figures["clean"]["test"].paper, figures["fgsm"]["dev"].paper) == (0.856, 0.744)
        assert figures["pgd10"]["dev"].paper is None
        assert "(.856)" in str(sheet(list(table.sheets()), "performance").rows)

    def test_with_other_parameters_the_paper_has_no_figure(self) -> None:
        table = PerformanceTable.of(study(cell("vanilla alpha=0.3", 0.02)))
        assert table.rows[0].figures["clean"]["test"].paper is None

    def test_a_failed_cell_is_a_dash_with_its_reason_and_never_a_zero(self) -> None:
        table = PerformanceTable.of(study(FAILED, cell()))
        entry = self.row(table, "vanilla", 0.02).figures["clean"]["dev"]
        assert (entry.estimate, entry.text) == (None, "–")
        found = sheet(list(table.sheets()), "performance")
        assert found.rows[0][2:] == ("– (.825)", "– (.856)", "– (.744)", "– (.800)")
        assert any("seed 0: the training failed: no memory" in note for note in found.notes)

    def test_a_failed_seed_is_told_beside_the_figure_of_the_others(self) -> None:
        table = PerformanceTable.of(study(FAILED, cell("vanilla", 0.02, seed=1)))
        entry = table.rows[0].figures["clean"]["dev"]
        assert entry.estimate is not None
        assert entry.estimate.seeds == [1]
        assert entry.lacking == ["seed 0: the training failed: no memory"]

    def test_dev_chooses_the_epsilon_by_real_clips_and_test_has_no_say(self) -> None:
        weak = cell("vanilla", 0.02, clean=0.5)
        strong = cell("vanilla", 0.06, clean=0.9)
        swapped = replace(
            weak,
            audits={"dev": weak.audits["dev"], "test": cell("x", 0.1, clean=1.0).audits["test"]},
        )
        table = PerformanceTable.of(study(swapped, strong))
        best = table.best("cnn4", "vanilla")
        assert best is not None
        assert (best.epsilon, value(best.test)) == (0.06, uar(strong, "test"))

    def test_of_equals_the_smallest_epsilon_is_chosen(self) -> None:
        one = cell("vanilla", 0.06)
        table = PerformanceTable.of(study(one, replace(one, epsilon=0.02)))
        assert table.chosen[0].epsilon == 0.02

    def test_of_a_type_with_several_parameters_the_better_on_dev_counts(self) -> None:
        table = PerformanceTable.of(
            study(cell("vanilla", 0.02, clean=0.5), cell("vanilla alpha=0.9", 0.02, clean=0.95))
        )
        best = table.best("cnn4", "vanilla")
        assert best is not None
        assert best.training == "vanilla alpha=0.9"

    def test_wall_time_is_the_mean_over_seeds_that_were_trained(self) -> None:
        failed = replace(FAILED, training="single", epsilon=None, seed=2, seconds=1.0)
        table = PerformanceTable.of(study(cell(seconds=10.0), cell(seed=1, seconds=30.0), failed))
        assert table.rows[0].seconds == 20.0


class TestBaselines:
    def test_adversarial_is_vanilla_at_the_epsilon_that_dev_chose(self) -> None:
        cells = (cell("vanilla", 0.02, clean=0.5), cell("vanilla", 0.06, clean=0.9), cell())
        findings = study(*cells)
        table = BaselinesTable.of(findings, PerformanceTable.of(findings))
        adversarial = next(one for one in table.rows if one.training == "vanilla")
        assert adversarial.epsilon == 0.06
        assert value(adversarial.figures["test"]) == uar(cells[1], "test")
        assert adversarial.figures["dev"].paper == paper.AUGMENTED["adversarial"][0]

    def test_noise_that_was_not_trained_is_a_dash(self) -> None:
        findings = study(cell())
        (found,) = BaselinesTable.of(findings, PerformanceTable.of(findings)).sheets()
        line = next(one for one in found.rows if "raw audio" in one[1])
        assert line == ("cnn4", "raw audio with random noise", "–", "–", "–", ".795", ".833")
        assert any(
            "cnn4 noise-audio" in note and "not in the study" in note for note in found.notes
        )

    def test_noise_with_other_parameters_is_found_without_dev_to_choose_it(self) -> None:
        one = cell("noise-spectrogram kind=uniform", 0.06, partitions=("test",))
        findings = study(one)
        table = BaselinesTable.of(findings, PerformanceTable.of(findings))
        row = next(each for each in table.rows if each.training == "noise-spectrogram")
        assert row.epsilon == 0.06
        assert value(row.figures["test"]) == uar(one, "test")
        assert row.figures["dev"].missing == "seed 0: not audited on dev"

    def test_without_dev_nothing_chooses_among_several(self) -> None:
        findings = study(
            cell("noise-spectrogram kind=uniform", 0.06, partitions=("test",)),
            cell("noise-spectrogram", 0.06, partitions=("test",)),
        )
        table = BaselinesTable.of(findings, PerformanceTable.of(findings))
        row = next(each for each in table.rows if each.training == "noise-spectrogram")
        why = "none of its ε and parameters was audited on dev to choose from"
        assert [one.missing for one in row.figures.values()] == [why, why]


class TestSignificance:
    CELLS = (
        cell(clean=0.5),
        cell("vanilla", 0.06, clean=0.9, attacked=shares(0.3, 0.3, 0.8)),
        cell("similarity", 0.06, clean=0.7, attacked=shares(0.8, 0.3, 0.8)),
        cell("noise-audio", clean=0.5),
    )
    TABLE = SignificanceTable.of(study(*CELLS), PerformanceTable.of(study(*CELLS)))

    def test_asks_what_the_paper_asks(self) -> None:
        told = [
            (one.question, one.b.words, one.a.words, one.change)
            for one in self.TABLE.comparisons
            if one.partition == "test"
        ]
        assert told == [
            ("better than single", "vanilla .06", "single", "clean"),
            ("better than noise", "vanilla .06", "noise-audio", "clean"),
            ("better than single", "similarity .06", "single", "clean"),
            ("better than noise", "similarity .06", "noise-audio", "clean"),
            ("similarity better than vanilla", "similarity .06", "vanilla .06", "fgsm"),
            ("similarity better than vanilla", "similarity .06", "vanilla .06", "pgd10"),
            ("similarity better than vanilla", "similarity .06", "vanilla .06", "worst_case"),
        ]

    def test_a_gain_is_above_zero_and_significant(self) -> None:
        one = self.TABLE.comparisons[0].difference
        assert one is not None
        assert one.value == pytest.approx(
            uar(self.CELLS[1], "dev") - uar(self.CELLS[0], "dev"), abs=1e-9
        )
        assert one.interval is not None
        assert one.interval[0] > 0
        assert one.z_p is not None
        assert one.z_p < 0.001

    def test_p_is_adjusted_for_all_of_them_as_statsmodels_does(self) -> None:
        found = [one.difference for one in self.TABLE.comparisons]
        known = [one for one in found if one is not None and one.p is not None]
        expected = multipletests([one.p for one in known], method="holm")[1]
        assert [one.p_holm for one in known] == pytest.approx(list(expected))
        assert len(known) == 14

    def test_where_all_draws_give_the_same_difference_p_is_a_dash_that_is_explained(self) -> None:
        findings = study(cell(clean=0.0), cell("vanilla", 0.06, clean=1.0))
        (found,) = SignificanceTable.of(findings, PerformanceTable.of(findings)).sheets()
        assert found.rows[0][4:6] == ("–", "–")
        assert found.notes[0] == "Holm p is adjusted for the 0 comparisons of this table."
        assert any("p is a dash where all draws give the same" in note for note in found.notes)
        (usual,) = self.TABLE.sheets()
        assert not any("p is a dash" in note for note in usual.notes)

    def test_a_training_done_in_part_is_compared_with_what_learnt_from_as_much(self) -> None:
        """Single has a model on train+dev, vanilla has none yet."""
        on_train, vanilla = cell(clean=0.5), cell("vanilla", 0.06, clean=0.9)
        on_both = cell(clean=0.95, seed=1, train_on="train+dev", partitions=("test",))
        findings = study(on_train, on_both, vanilla)
        table = SignificanceTable.of(findings, PerformanceTable.of(findings))
        one = next(each for each in table.comparisons if each.partition == "test").difference
        assert one is not None
        assert one.trained_on == "train"
        assert one.of_a == pytest.approx(uar(on_train, "test"))
        (found,) = table.sheets()
        assert any("trained on train alone" in note for note in found.notes)

    def test_where_nothing_learnt_from_as_much_there_is_no_difference(self) -> None:
        on_dev, vanilla = cell(clean=0.5, partitions=("dev",)), cell("vanilla", 0.06, clean=0.9)
        on_both = cell(clean=0.95, train_on="train+dev", partitions=("test",))
        findings = study(on_dev, on_both, vanilla)
        table = SignificanceTable.of(findings, PerformanceTable.of(findings))
        one = next(each for each in table.comparisons if each.partition == "test")
        assert (one.difference, one.missing) == (None, OTHER_DATA)

    def test_a_side_without_a_figure_is_told(self) -> None:
        one = replace(self.CELLS[1], audits={"dev": self.CELLS[1].audits["dev"]})
        findings = study(self.CELLS[0], one)
        table = SignificanceTable.of(findings, PerformanceTable.of(findings))
        lacking = [each for each in table.comparisons if each.missing]
        assert [each.missing for each in lacking] == ["vanilla .06: seed 0: not audited on test"]
        (found,) = table.sheets()
        assert any("not audited on test" in note for note in found.notes)


class TestTransfer:
    PGD = Pgd(epsilon=(0.06,), steps=10)
    TRANSFER = (
        parse({"type": "transfer", "from": "model_b",
               "attack": {"type": "pgd", "steps": 10, "epsilon": [0.06]}}),
    )  # fmt: skip
    ROWS = tuple(
        row("a", "a", [under(0, 0.06, "b" if n < 2 else "a", size=0.06)], index=n, speaker=f"s{n}")
        for n in range(8)
    )

    def table(self) -> TransferTable:
        target = cell(
            model="model_a", transfers=(audited(self.ROWS, self.TRANSFER),), partitions=("test",)
        )
        return TransferTable.of(study(target, cell("vanilla", 0.06, model="model_b")))

    def test_names_the_cell_that_the_attack_was_made_on(self) -> None:
        one = self.table().rows[0]
        assert (one.source, one.target) == ("cnn4-vanilla-0.06-0", "cnn4-single-None-0")
        assert (one.attack, one.strength, one.unit, one.partition) == ("pgd", 0.06, "sigma", "test")

    def test_tells_success_uar_and_distortion(self) -> None:
        one = self.table().rows[0]
        assert one.success_rate is not None
        assert (one.success_rate.value, one.n) == (0.25, 8)
        assert (one.linf, one.l2, one.band_db) == pytest.approx((0.06, 0.6, 6.0))

    def test_the_diagonal_is_the_same_attack_on_the_model_itself(self) -> None:
        own = [one for one in self.table().rows if one.source == one.target]
        assert [(one.target, one.strength) for one in own] == [("cnn4-single-None-0", 0.06)]
        (matrix, _) = self.table().sheets()
        assert matrix.rows[0][0] == "cnn4-vanilla-0.06-0"
        assert matrix.rows[0][1].startswith(".250 [")

    def test_without_one_is_told(self) -> None:
        table = TransferTable.of(study(cell()))
        (found,) = table.sheets()
        assert (found.rows, found.notes) == (
            (), ("No audit of the study tried an attack of another model.",),
        )  # fmt: skip

    def test_the_attack_of_the_test_is_the_attack_of_the_audit(self) -> None:
        assert [one.strength for one in points(self.TRANSFER)] == [0.06]
        inner = self.TRANSFER[0].parameters()["attack"]
        assert inner["steps"] == self.PGD.steps


class TestCosts:
    def test_an_iteration_is_held_against_one_of_single_on_the_same_device(self) -> None:
        table = CostsTable.of(
            study(
                cell(seconds=10.0),
                cell(seed=1, seconds=30.0),
                cell("vanilla", 0.02, seconds=50.0),
                cell("vanilla", 0.06, seconds=50.0, device="a GPU"),
            )
        )
        assert [one.times_single for one in table.rows[:3]] == pytest.approx([0.5, 1.5, 2.5])
        assert table.rows[3].times_single is None
        assert table.rows[2].iterations_per_second == 2.0
        assert table.rows[0].audit_seconds == 4.0

    def test_a_failed_cell_has_no_time_an_iteration(self) -> None:
        (one,) = CostsTable.of(study(replace(FAILED, seconds=5.0, iterations=100))).rows
        assert (one.iterations_per_second, one.missing) == (None, FAILED.missing)
        assert (one.seconds, one.iterations) == (5.0, None)

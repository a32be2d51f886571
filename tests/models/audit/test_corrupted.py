"""Corruptions beside attacks: what is heard, what is drawn, what it costs, what it adds up to."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import pytest
import torch
from pydantic import Field
from torch import Generator, Tensor

from models.attacks import parse as attack
from models.audit import AuditError, AuditSummary, summarize
from models.audit.corrupted import CorruptedClips
from models.audit.forecast import passes, total
from models.audit.perturbation import Perturbation
from models.audit.result import Scale
from models.corruptions import Corruption, Few, Many, parse
from models.features import SAMPLE_RATE
from models.victims import Cost
from tests.models.audit.recordings import (
    LABELS,
    Recordings,
    attacked,
    audit,
    inputs,
    rows_of,
    sounds,
    victim,
)

LOUDER = parse({"type": "gain", "db": [-20, 0, 6]})
NOISY = parse({"type": "noise", "snr_db": [20, 0]})
LONGER = parse({"type": "silence", "seconds": [1.0], "where": "behind"})


class Broken(Corruption):
    """Answers what is no number."""

    strength_name: ClassVar[str] = "n"
    unit: ClassVar[str] = "times"

    type: Literal["broken"] = "broken"
    n: Annotated[tuple[float, ...], Few, Many] = Field(description="How often.")

    def corrupt(self, waveform: Tensor, strength: float, generator: Generator) -> Tensor:
        return waveform * float("nan")


def result(*perturbations: Perturbation, clips: Recordings | None = None) -> AuditSummary:
    one = audit(*perturbations, clips=clips)
    return summarize(
        rows_of(one),
        LABELS,
        perturbations,
        of=len(one.clips),
        scale=Scale(lowest=1, median=1, highest=1),
        seconds={},
    )


class TestWhatIsHeard:
    def test_is_what_a_prediction_on_the_corrupted_recording_says(self) -> None:
        """The recordings corrupted by hand, and audited clean."""
        one = audit(LOUDER)
        (quiet, same, loud) = attacked(one)
        for strength, found in zip(LOUDER.strengths, (quiet, same, loud), strict=True):
            by_hand = [(wave * 10 ** (strength / 20)).clamp(-1, 1) for wave in sounds()]
            again = audit(clips=Recordings(by_hand))
            again.victim = one.victim
            said = again.clean(range(len(by_hand)))
            assert [point.label for point in found] == [said[n].label for n in range(len(by_hand))]
            for n, point in enumerate(found):
                assert point.scores == pytest.approx(said[n].scores, abs=1e-5)

    @pytest.mark.parametrize("windows", ["all", "first"])
    def test_all_windows_of_a_clip_that_became_longer(
        self, windows: Literal["all", "first"]
    ) -> None:
        one = audit(LONGER, windows=windows)
        (found,) = attacked(one)
        by_hand = [torch.cat([wave, torch.zeros(SAMPLE_RATE)]) for wave in sounds()]
        again = audit(clips=Recordings(by_hand), windows=windows)
        again.victim = one.victim
        said = again.clean(range(len(by_hand)))
        for n, point in enumerate(found):
            assert point.scores == pytest.approx(said[n].scores, abs=1e-5)

    def test_what_was_scored_is_kept(self) -> None:
        (found,) = inputs(audit(LONGER))
        for wave, heard in zip(sounds(), found, strict=True):
            assert torch.equal(heard, torch.cat([wave, torch.zeros(SAMPLE_RATE)]))

    def test_needs_the_recordings(self) -> None:
        one = audit(LOUDER, clips=Recordings(sounds(), audible=False))
        with pytest.raises(AuditError, match="Attack 0 changes waveforms") as refused:
            attacked(one)
        assert refused.value.code == "no_recordings"

    def test_what_is_no_number_ends_the_audit(self) -> None:
        with pytest.raises(ValueError, match="'broken' answers"):
            attacked(audit(Broken(n=(1,))))


class TestDraws:
    def drawn(self, corruption: Corruption, seed: int = 0, strength: float = 0.0) -> list[Tensor]:
        clips = Recordings(sounds(4))
        corrupted = CorruptedClips(clips, corruption, strength, seed, victim(clips))
        return [corrupted.waveform(n) - clips.waveform(n) for n in range(4)]

    def test_follow_from_seed_clip_and_kind(self) -> None:
        first, again, other = self.drawn(NOISY), self.drawn(NOISY), self.drawn(NOISY, seed=1)
        assert all(map(torch.equal, first, again))
        assert not any(map(torch.equal, first, other))
        assert not torch.allclose(first[0], first[1][: len(first[0])])

    def test_are_the_same_at_every_strength(self) -> None:
        strong, weak = self.drawn(NOISY), self.drawn(NOISY, strength=20.0)
        for one, other in zip(strong, weak, strict=True):
            torch.testing.assert_close(one, 10 * other, atol=1e-5, rtol=1e-3)

    @pytest.mark.parametrize("options", [{"batch": 1}, {"batch": 16}])
    def test_do_not_depend_on_batch_and_chunk(self, options: dict[str, Any]) -> None:
        found = rows_of(audit(NOISY, **options), chunk=3)
        assert [[point.label for point in row.attacked] for row in found] == [
            [point.label for point in row.attacked] for row in rows_of(audit(NOISY))
        ]


class TestCost:
    def test_is_a_pass_a_clip_and_strength_as_foretold(self) -> None:
        made: list[tuple[int, int]] = []
        one = audit(NOISY, on_pass=lambda forwards, backwards: made.append((forwards, backwards)))
        rows = rows_of(one)
        spent = sum((point.cost.passes() for row in rows for point in row.attacked), start=Cost())
        assert spent == passes(NOISY, len(LABELS)) * len(rows) == Cost(forwards=2 * len(rows))
        there, back = sum(one for one, _ in made), sum(one for _, one in made)
        assert Cost(there, back) == total([NOISY], len(rows), len(LABELS))


class TestResult:
    def test_a_corruption_stands_behind_the_attacks_as_one_of_them(self) -> None:
        fgsm = attack({"type": "fgsm", "epsilon": [0.5]})
        found = result(fgsm, NOISY)
        first, second = found.attacks
        assert (first.type, second.type, second.index, second.control) == ("fgsm", "noise", 1, True)
        assert second.parameters == {"color": "white"}
        assert second.threat.model_dump() == {
            "domain": "corruption", "norm": "none", "unit": "dB SNR",
        }  # fmt: skip
        assert [(one.attack, one.strength) for one in found.curve] == [(0, 0.5), (1, 20), (1, 0)]

    def test_has_uar_flips_and_the_four_counts(self) -> None:
        rows = rows_of(audit(NOISY))
        point = result(NOISY).curve[1]
        after = [row.attacked[1].label for row in rows]
        flipped = sum(row.clean.label != said for row, said in zip(rows, after, strict=True))
        broken = sum(
            row.right_before and row.label != said for row, said in zip(rows, after, strict=True)
        )
        assert point.flip_rate == flipped / len(rows) > 0
        assert point.counts.right_wrong == broken
        assert sum(point.counts.model_dump().values()) == point.n == len(rows)
        assert point.uar is not None
        assert point.distortion is None
        assert [row.attacked[1].success for row in rows] == [
            said != row.label if row.right_before else None
            for row, said in zip(rows, after, strict=True)
        ]

    def test_counts_in_no_worst_case(self) -> None:
        assert result(NOISY).worst_case == []
        fgsm = attack({"type": "fgsm", "epsilon": [0.5]})
        assert result(fgsm, NOISY).worst_case == result(fgsm).worst_case

    def test_without_labels_tells_changed_predictions(self) -> None:
        clips = Recordings(sounds(), labels=[None] * 14)
        point = result(NOISY, clips=clips).curve[1]
        assert point.uar is None
        assert point.unlabelled is not None
        assert point.flip_rate == point.unlabelled.flip_rate == point.success_rate


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)

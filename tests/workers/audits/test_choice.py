"""Which broken clips an audit shows: the easiest, the median and the hardest."""

from collections.abc import Sequence

import pytest

from models.attacks import parse
from models.audit import AuditRow, ClipPrediction
from models.audit.evidence import AttackedPrediction, CostSpent
from models.audit.perturbation import Perturbation
from workers.audits.choice import BrokenClips

FGSM = parse({"type": "fgsm", "epsilon": [0.1, 0.2, 0.3]})
NOISE = parse({"type": "noise", "epsilon": [0.1, 0.2, 0.3]})
WAVE = parse({"type": "pgd", "domain": "waveform", "snr_db": [40, 20], "steps": 2})


def row(
    index: int,
    attacks: Sequence[Perturbation],
    broken: dict[int, list[float]],
    score: float = 0.5,
) -> AuditRow:
    """A clip that each attack breaks at these strengths, with this score of the wrong label."""
    attacked = [
        AttackedPrediction(
            label="joy" if strength in broken.get(number, []) else "anger",
            scores={"anger": 1 - score, "joy": score},
            attack=number,
            strength=strength,
            success=strength in broken.get(number, []),
            no_direction=False,
            distortion=None,
            cost=CostSpent(forwards=1, backwards=0, queries=0),
        )
        for number, attack in enumerate(attacks)
        for strength in attack.strengths
    ]
    clean = ClipPrediction(label="anger", scores={"anger": 0.9, "joy": 0.1})
    return AuditRow(
        index=index,
        clip=f"{index}.wav",
        label="anger",
        speaker=None,
        gender=None,
        duration_s=1.0,
        clean=clean,
        attacked=attacked,
    )


def from_strength(index: int, first: float, score: float = 0.5) -> AuditRow:
    """A clip that FGSM breaks at this strength and all larger ones."""
    return row(index, [FGSM], {0: [one for one in FGSM.strengths if one >= first]}, score)


def shown(
    rows: Sequence[AuditRow], attacks: Sequence[Perturbation] = (FGSM,)
) -> dict[str, tuple[int, int]]:
    """The index and the place of each exhibit."""
    broken = BrokenClips(attacks)
    for one in rows:
        broken.add(one)
    return {role: (clip.index, clip.place) for role, clip in broken.exhibits.items()}


class TestRoles:
    def test_go_by_the_smallest_strength_that_broke_a_clip(self) -> None:
        rows = [from_strength(0, 0.3), from_strength(1, 0.1), from_strength(2, 0.2)]
        assert shown(rows) == {"easiest": (1, 0), "median": (2, 1), "hardest": (0, 2)}

    def test_the_median_is_that_of_all_broken_clips(self) -> None:
        rows = [from_strength(n, 0.1 if n < 6 else 0.3) for n in range(10)]
        assert shown(rows)["median"][1] == 0
        rows = [from_strength(n, 0.1 if n < 4 else 0.3) for n in range(10)]
        assert shown(rows)["median"][1] == 2

    def test_among_equals_the_more_confident_error_is_easier(self) -> None:
        rows = [from_strength(n, 0.1, score) for n, score in enumerate((0.6, 0.9, 0.7, 0.55))]
        found = shown(rows)
        assert (found["easiest"][0], found["hardest"][0]) == (1, 3)
        assert found["median"][0] in {0, 2}

    def test_among_those_the_first_of_the_audit_is(self) -> None:
        assert shown([from_strength(n, 0.1) for n in (4, 7)]) == {
            "easiest": (4, 0),
            "hardest": (7, 0),
        }

    @pytest.mark.parametrize("n", range(1, 12))
    def test_no_clip_has_two_and_there_are_three_where_three_are_broken(self, n: int) -> None:
        rows = [from_strength(index, 0.1 if index % 3 else 0.2) for index in range(n)]
        indices = [index for index, _ in shown(rows).values()]
        assert len(indices) == len(set(indices)) == min(n, 3)

    def test_an_audit_that_broke_nothing_shows_none(self) -> None:
        assert shown([row(0, [FGSM], {})]) == {}
        assert shown([]) == {}


class TestWhichAttacks:
    def test_controls_do_not_count(self) -> None:
        attacks = [NOISE, FGSM]
        rows = [row(0, attacks, {0: [0.1, 0.2]}), row(1, attacks, {0: [0.1], 1: [0.3]})]
        assert shown(rows, attacks) == {"easiest": (1, 5)}

    def test_strengths_of_one_threat_model_alone_are_compared(self) -> None:
        attacks = [WAVE, FGSM]
        rows = [
            row(0, attacks, {1: [0.1]}),
            row(1, attacks, {0: [20.0], 1: [0.1]}),
            row(2, attacks, {0: [40.0, 20.0]}),
        ]
        assert shown(rows, attacks) == {"easiest": (2, 0), "hardest": (1, 1)}

    def test_the_next_counts_where_the_first_broke_nothing(self) -> None:
        attacks = [WAVE, FGSM]
        assert shown([row(0, attacks, {1: [0.2]})], attacks) == {"easiest": (0, 3)}


class TestKept:
    def test_few_clips_of_each_strength_are(self) -> None:
        broken = BrokenClips([FGSM])
        for index in range(300):
            broken.add(from_strength(index, FGSM.strengths[index % 3], (index * 37 % 101) / 101))
        assert broken.count == 300
        assert len(broken.kept) <= 3 * 6

    @pytest.mark.parametrize("size", [1, 2, 5])
    def test_what_all_rows_choose_is_among_what_their_shards_keep(self, size: int) -> None:
        rows = [
            from_strength(index, FGSM.strengths[index * 7 % 3], (index * 37 % 11) / 11)
            for index in range(30)
        ]
        kept: set[int] = set()
        for first in range(0, 30, size):
            shard = BrokenClips([FGSM])
            for one in rows[first : first + size]:
                shard.add(one)
            kept |= shard.kept.keys()
        assert {index for index, _ in shown(rows).values()} <= kept

    def test_a_clip_that_is_let_go_is_never_chosen_later(self) -> None:
        broken = BrokenClips([FGSM])
        gone: set[int] = set()
        before: set[int] = set()
        for index in range(60):
            broken.add(from_strength(index, FGSM.strengths[index * 7 % 3], (index * 37 % 11) / 11))
            gone |= before - broken.kept.keys()
            before = set(broken.kept)
            assert not gone & {clip.index for clip in broken.exhibits.values()}

"""All figures of a result can be added up again from the file of the rows alone.

What adds them up here shares no code with the one that is tested: JSON lines, and numpy.
"""

import json
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydantic import ValidationError

from models.attacks import Attack, TargetLabel
from models.attacks.fgsm import Fgsm
from models.attacks.noise import Noise
from models.attacks.pgd import Pgd
from models.audit import AuditRow, AuditSummary, summarize
from models.audit.result import Scale
from tests.models.audit.recordings import LABELS, Recordings, audit, rows_of, sounds

ATTACKS: tuple[Attack, ...] = (
    Fgsm(epsilon=(0.05, 0.2), minimum=True),
    Pgd(epsilon=(0.05, 0.1), steps=3),
    Fgsm(epsilon=(0.1, 0.4), goal=TargetLabel(label="joy"), minimum=True),
    Noise(epsilon=(0.3,), draws=5),
    Pgd(domain="waveform", snr_db=(30.0, 10.0), steps=2, minimum=True),
)
LINES: dict[str, list[str | None]] = {
    "labelled": [LABELS[n % 3] for n in range(14)],
    "some": [LABELS[n % 3] if n % 4 else None for n in range(14)],
    "none": [None] * 14,
}

Row = dict[str, Any]
Indices = npt.NDArray[np.int64]


@pytest.fixture(scope="module", params=sorted(LINES))
def rows(request: pytest.FixtureRequest) -> list[AuditRow]:
    clips = Recordings(sounds(), LINES[request.param])
    return rows_of(audit(*ATTACKS, clips=clips))


@pytest.fixture(scope="module")
def lines(rows: list[AuditRow]) -> list[Row]:
    """The file, as somebody else reads it."""
    return [json.loads(row.model_dump_json()) for row in rows]


@pytest.fixture(scope="module")
def result(rows: list[AuditRow]) -> AuditSummary:
    scale = Scale(lowest=1, median=1, highest=1)
    return summarize(rows, LABELS, ATTACKS, of=14, scale=scale, seconds={})


def truth(row: Row) -> str:
    return str(row["label"] or row["clean"]["label"])


def quality(rows: list[Row], predicted: list[str]) -> dict[str, Any]:
    """UAR, accuracy, recalls and confusion of the labelled ones among these rows."""
    pairs = [
        (row["label"], said) for row, said in zip(rows, predicted, strict=True) if row["label"]
    ]
    if not pairs:
        return dict.fromkeys(("uar", "accuracy", "recall", "confusion"))
    table = np.array([[pairs.count((a, b)) for b in LABELS] for a in LABELS])
    with np.errstate(invalid="ignore"):
        recall = table.diagonal() / table.sum(axis=1)
    return {
        "uar": pytest.approx(np.nanmean(recall)),
        "accuracy": pytest.approx(table.trace() / table.sum()),
        "recall": {
            label: None if np.isnan(one) else pytest.approx(one)
            for label, one in zip(LABELS, recall, strict=True)
        },
        "confusion": table.tolist(),
    }


def outcome(row: Row, attack: int, strength: float) -> Row:
    (found,) = [
        one for one in row["attacked"] if (one["attack"], one["strength"]) == (attack, strength)
    ]
    return dict(found)


def point_of(lines: list[Row], number: int, strength: float) -> dict[str, Any]:
    """A point of the curve, but for what is said of sound and of sizes."""
    attack, goal = ATTACKS[number], ATTACKS[number].goal
    target = goal.label if isinstance(goal, TargetLabel) else None
    after = [outcome(row, number, strength) for row in lines]
    some = any(row["label"] for row in lines)
    counted = [
        place
        for place, row in enumerate(lines)
        if (row["label"] or not some) and truth(row) != target
    ]
    before_right = np.array(
        [lines[place]["clean"]["label"] == truth(lines[place]) for place in counted]
    )
    after_right = np.array([after[place]["label"] == truth(lines[place]) for place in counted])
    reached = np.array(
        [
            after[place]["label"] == target
            if target
            else after[place]["label"] != truth(lines[place])
            for place in counted
        ]
    )
    flipped = [
        row["clean"]["label"] != said["label"] for row, said in zip(lines, after, strict=True)
    ]
    unknown = [flip for flip, row in zip(flipped, lines, strict=True) if row["label"] is None]
    draws = [
        after[place]["details"]["broken_draws"]
        for place, right in zip(counted, before_right, strict=True)
        if right and attack.control
    ]
    return {
        **quality(lines, [said["label"] for said in after]),
        "attack": number,
        "strength": strength,
        "n": len(lines),
        "right_before": int(before_right.sum()),
        "success_rate": pytest.approx(reached[before_right].mean()),
        "flip_rate": pytest.approx(np.mean(flipped)),
        "counts": {
            "right_wrong": int((before_right & ~after_right).sum()),
            "right_right": int((before_right & after_right).sum()),
            "wrong_right": int((~before_right & after_right).sum()),
            "wrong_wrong": int((~before_right & ~after_right).sum()),
        },
        "no_direction": sum(said["no_direction"] for said in after),
        "has_target_label": sum(truth(row) == target for row in lines),
        "mean_success_rate": pytest.approx(np.mean(draws) / 5) if draws else None,
        "unlabelled": {
            "n": len(unknown),
            "flipped": sum(unknown),
            "flip_rate": pytest.approx(np.mean(unknown)),
        }
        if unknown
        else None,
    } | sizes_of(lines, after, counted, target)


def sizes_of(
    lines: list[Row], after: list[Row], counted: list[int], target: str | None
) -> dict[str, Any]:
    """What is said of sizes, and of sound."""
    moved = [said for row, said in zip(lines, after, strict=True) if truth(row) != target]
    sizes = {
        name: np.median([said["distortion"][name] for said in moved])
        for name in ("linf", "l2", "band_db")
    }
    snr = [said["distortion"]["snr_db"] for said in moved]
    heard = [
        (after[place]["audio"], truth(lines[place])) for place in counted if after[place]["audio"]
    ]
    survived = [
        sound["label"] == target if target else sound["label"] != label for sound, label in heard
    ]
    shown = [sound["snr_db"] for sound, _ in heard] or [db for db in snr if db is not None]
    return {
        "distortion": {
            **{name: pytest.approx(float(size)) for name, size in sizes.items()},
            "snr_db": None if None in snr else pytest.approx(np.median(snr)),
        },
        "survives_as_audio": pytest.approx(np.mean(survived)) if survived else None,
        "played": len(heard),
        "snr_db": pytest.approx(np.median(shown)) if shown else None,
    }


class TestTheRowsAlone:
    def test_give_the_clean_figures(self, lines: list[Row], result: AuditSummary) -> None:
        clean = result.clean.model_dump(exclude={"measures"})
        assert clean == quality(lines, [row["clean"]["label"] for row in lines])
        assert result.n_unlabelled == sum(row["label"] is None for row in lines)
        assert result.complete

    def test_give_every_point_of_the_curve(self, lines: list[Row], result: AuditSummary) -> None:
        assert len(result.curve) == 9
        for point in result.curve:
            expected = point_of(lines, point.attack, point.strength)
            figures = {"measures": True, "control": True, "flips": True}
            found = point.model_dump(exclude={**figures, "distortion": {"quartiles"}})
            assert found == expected

    def test_give_the_worst_case(self, lines: list[Row], result: AuditSummary) -> None:
        assert [(case.threat.unit, case.strength) for case in result.worst_case] == [
            ("sigma", 0.05), ("sigma", 0.1), ("sigma", 0.2), ("sigma", 0.4), ("dB", 30), ("dB", 10),
        ]  # fmt: skip
        some = any(row["label"] for row in lines)
        for case in result.worst_case:
            members = (4,) if case.threat.unit == "dB" else (0, 1, 2)
            by: Counter[str] = Counter()
            predicted, right = [], 0
            for row in lines:
                breakers = [
                    (one["strength"] if members != (4,) else -one["strength"], one["attack"])
                    for one in row["attacked"]
                    if one["attack"] in members and one["label"] != truth(row)
                ]
                limit = case.strength if members != (4,) else -case.strength
                first = min((one for one in breakers if one[0] <= limit), default=None)
                was = row["clean"]["label"]
                broken = was == truth(row) and first is not None
                other = next(label for label in LABELS if label != truth(row))
                predicted.append(other if broken else was)
                if was == truth(row) and (row["label"] or not some):
                    right += 1
                    by.update([str(first[1])] if first else [])
            assert case.uar == quality(lines, predicted)["uar"]
            assert case.broken_by == dict(by)
            assert (case.n, case.right_before) == (14, right)
            assert case.success_rate == pytest.approx(by.total() / right)

    def test_give_the_smallest_strengths(self, lines: list[Row], result: AuditSummary) -> None:
        some = any(row["label"] for row in lines)
        assert [found.attack for found in result.minimum] == [0, 2, 4]
        for found in result.minimum:
            goal = ATTACKS[found.attack].goal
            strengths = [
                one["strength"]
                for row in lines
                for one in row["minimum"]
                if one["attack"] == found.attack
                and row["clean"]["label"] == truth(row)
                and (row["label"] or not some)
                and not (isinstance(goal, TargetLabel) and truth(row) == goal.label)
            ]
            assert found.right_before == len(strengths)
            assert found.unbroken == strengths.count(None)
            sign = -1 if found.attack == 4 else 1
            values = np.array([np.inf if one is None else sign * one for one in strengths])
            for ours, share in zip(
                (found.quartiles[0], found.median, found.quartiles[1]),
                (0.25, 0.5, 0.75),
                strict=True,
            ):
                with np.errstate(invalid="ignore"):
                    expected = np.quantile(values, share)
                assert ours == (pytest.approx(sign * expected) if np.isfinite(expected) else None)

    def test_give_the_costs(self, lines: list[Row], result: AuditSummary) -> None:
        for attack in result.attacks:
            spent = [
                one["cost"]
                for row in lines
                for one in (*row["attacked"], *row["minimum"])
                if one["attack"] == attack.index
            ]
            for name in ("forwards", "backwards", "queries"):
                assert getattr(attack.cost, name) == sum(cost[name] for cost in spent)
        assert result.cost.forwards == 14 + sum(one.cost.forwards for one in result.attacks)

    def test_are_read_as_they_were_written(self, rows: list[AuditRow]) -> None:
        for row in rows:
            assert AuditRow.model_validate_json(row.model_dump_json()) == row

    def test_hold_what_is_known_of_a_clip(self, lines: list[Row]) -> None:
        first = lines[0]
        assert (first["index"], first["clip"], first["speaker"], first["gender"]) == (
            0, "0.wav", "ann", "f",
        )  # fmt: skip
        assert first["duration_s"] == 1500 / 16_000
        for row in lines:
            for said in (row["clean"], *row["attacked"]):
                assert sum(said["scores"].values()) == pytest.approx(1, abs=3e-6)
                assert said["scores"][said["label"]] == max(said["scores"].values())


def test_what_a_row_does_not_have_is_refused(rows: list[AuditRow]) -> None:
    with pytest.raises(ValidationError, match="mood"):
        AuditRow.model_validate(rows[0].model_dump() | {"mood": "good"})

"""Every figure of a result is what plain loops add up from the file of rows alone."""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.corpora.tables import Corpus
from tests.workers.audits.audits import audited, request, rows
from workers.runtime.context import WorkerContext

ATTACKS = [
    {"type": "fgsm", "epsilon": [0.02, 0.4, 0.6]},
    {"type": "pgd", "epsilon": [0.4], "steps": 3, "minimum": True},
    {"type": "noise", "epsilon": [0.4, 0.6]},
]
Row = dict[str, Any]


def share(clips: Iterable[bool]) -> float | None:
    each = list(clips)
    return sum(each) / len(each) if each else None


def uar(pairs: Iterable[tuple[str, str]]) -> float:
    by_class: dict[str, list[bool]] = defaultdict(list)
    for truth, said in pairs:
        by_class[truth].append(truth == said)
    return statistics.mean(sum(each) / len(each) for each in by_class.values())


def brier(truth: str, scores: dict[str, float]) -> float:
    return sum((score - (label == truth)) ** 2 for label, score in scores.items())


def ece(said: list[tuple[str, dict[str, Any]]]) -> float:
    bins: dict[int, list[float]] = defaultdict(list)
    for truth, one in said:
        confidence = one["scores"][one["label"]]
        bins[max(1, math.ceil(confidence * 15))].append((one["label"] == truth) - confidence)
    return sum(abs(sum(each)) for each in bins.values()) / len(said)


def auc(clean: list[float], attacked: list[float]) -> float:
    wins = [(b < a) + (b == a) / 2 for a in clean for b in attacked]
    return sum(wins) / len(wins)


def wilson(counted: int, n: int) -> tuple[float, float]:
    z, p = 1.959963984540054, counted / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return max(0, middle - half), min(1, middle + half)


def of_point(found: list[Row], place: int, noise: int | None) -> dict[str, float | None]:
    """The figures of a point, by name."""
    after = [row["attacked"][place] for row in found]
    truths = [row["label"] for row in found]
    right = [row for row in found if row["clean"]["label"] == row["label"]]
    confident = [one["scores"][one["label"]] for one in after]
    figures = {
        "success_rate": share(row["attacked"][place]["label"] != row["label"] for row in right),
        "flip_rate": share(
            row["attacked"][place]["label"] != row["clean"]["label"] for row in found
        ),
        "wrong_after": share(one["label"] != y for one, y in zip(after, truths, strict=True)),
        "accuracy": share(one["label"] == y for one, y in zip(after, truths, strict=True)),
        "uar": uar((y, one["label"]) for y, one in zip(truths, after, strict=True)),
        "confidence_drop": statistics.mean(
            row["clean"]["scores"][row["label"]] - row["attacked"][place]["scores"][row["label"]]
            for row in found
        ),
        "brier": statistics.mean(
            brier(y, one["scores"]) for y, one in zip(truths, after, strict=True)
        ),
        "ece": ece(list(zip(truths, after, strict=True))),
        "detector_auc": auc(
            [row["clean"]["scores"][row["clean"]["label"]] for row in found], confident
        ),
        "over_control": None,
    }
    clean = uar((row["label"], row["clean"]["label"]) for row in found)
    assert isinstance(figures["uar"], float)
    figures["uar_drop"] = clean - figures["uar"]
    if noise is not None:
        figures["over_control"] = statistics.mean(
            bool(row["attacked"][place]["success"]) - bool(row["attacked"][noise]["success"])
            for row in right
        )
    return figures


@pytest.fixture
def audit(
    client: TestClient, model: str, corpus: Corpus, context: WorkerContext
) -> tuple[Row, list[Row]]:
    job = audited(client, request(model, corpus, attacks=ATTACKS, group_by="take"))
    report = client.get(f"/v1/audits/{job['id']}/report").json()
    return report, rows(context, job["id"])


def test_every_figure_is_what_the_rows_add_up_to(audit: tuple[Row, list[Row]]) -> None:
    report, found = audit
    result = report["result"]
    noise = {("fgsm", 0.4): 4, ("fgsm", 0.6): 5, ("pgd", 0.4): 4}
    speakers = len({row["speaker"] for row in found})
    for place, point in enumerate(result["curve"]):
        of = (result["attacks"][point["attack"]]["type"], point["strength"])
        own = of_point(found, place, noise.get(of))
        assert {name: one["value"] for name, one in point["measures"].items()} == pytest.approx(own)
        for name in ("uar", "accuracy", "success_rate", "flip_rate"):
            assert point[name] == point["measures"][name]["value"]
        assert (point["control"] or {"point": None})["point"] == noise.get(of)
        flip = point["measures"]["flip_rate"]
        assert (flip["n"], flip["n_speakers"]) == (len(found), speakers)
        counted = round(flip["value"] * flip["n"])
        assert flip["interval"] == pytest.approx(wilson(counted, flip["n"]))
        matrix = Counter((row["clean"]["label"], row["attacked"][place]["label"]) for row in found)
        labels = result["labels"]
        assert point["flips"]["matrix"] == [
            [matrix[before, after] for after in labels] for before in labels
        ]
        sizes = [row["attacked"][place]["distortion"]["linf"] for row in found]
        low, middle, high = statistics.quantiles(sizes, method="inclusive")
        assert point["distortion"]["linf"] == pytest.approx(middle)
        assert point["distortion"]["quartiles"]["linf"] == pytest.approx([low, high])


def test_so_are_those_of_groups_and_their_gaps(audit: tuple[Row, list[Row]]) -> None:
    report, found = audit
    keys: dict[str, Callable[[Row], str | None]] = {
        "speaker": lambda row: row["speaker"],
        "gender": lambda row: row["gender"],
        "emotion": lambda row: row["label"],
        "take": lambda row: row["group"],
        "duration": lambda row: "under 1 s" if row["duration_s"] < 1 else "1 to 2 s",
    }
    places = {
        (point["attack"], point["strength"]): place
        for place, point in enumerate(report["result"]["curve"])
    }
    told = {}
    for table in report["groups"]:
        place = places.get((table["attack"], table["strength"]))
        for group in table["groups"]:
            clips = [row for row in found if keys[table["by"]](row) == group["group"]]
            told[table["attack"], table["strength"], table["by"], group["group"]] = group
            after = [row["clean"] if place is None else row["attacked"][place] for row in clips]
            wanted = uar(
                (row["label"], one["label"]) for row, one in zip(clips, after, strict=True)
            )
            assert group["n"] == len(clips)
            assert group["uar"]["value"] == pytest.approx(wanted)
            if place is not None:
                flipped = share(
                    row["clean"]["label"] != one["label"]
                    for row, one in zip(clips, after, strict=True)
                )
                assert group["flip_rate"]["value"] == pytest.approx(flipped)
    assert {table["by"] for table in report["groups"]} == {"speaker", "emotion", "take", "duration"}
    assert report["result"]["gaps"]
    for gap in report["result"]["gaps"]:
        at = (gap["attack"], gap["strength"], gap["by"])
        worst, best = (told[(*at, gap[side])][gap["figure"]]["value"] for side in ("worst", "best"))
        assert gap["gap"]["value"] == pytest.approx(worst - best)


def test_so_are_the_worst_case_and_the_smallest_strengths(audit: tuple[Row, list[Row]]) -> None:
    report, found = audit
    result = report["result"]
    right = [row for row in found if row["clean"]["label"] == row["label"]]
    for case in result["worst_case"]:
        broken = [
            any(
                one["label"] != row["label"]
                for one in row["attacked"]
                if one["attack"] in (0, 1) and one["strength"] <= case["strength"]
            )
            for row in right
        ]
        assert case["success_rate"] == case["measures"]["success_rate"]["value"] == share(broken)
    (smallest,) = result["minimum"]
    at = [row["minimum"][0]["strength"] for row in right]
    assert smallest["unbroken"] == at.count(None)
    for step in smallest["survival"]:
        standing = share(one is None or one > step["strength"] for one in at)
        assert step["surviving"]["value"] == standing

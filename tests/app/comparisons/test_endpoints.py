"""POST and GET /v1/comparisons."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.audits import files
from app.audits.result import AuditResult
from app.comparisons import service
from app.comparisons.formats import MOST_CHARACTERS
from app.jobs.service import Submission
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from app.persistence.storage import Storage
from models.audit.checks import Evidence
from models.audit.comparison import Outcomes
from tests.app.audits.conftest import found_rows
from tests.app.comparisons.conftest import REQUEST, Audited, unbroken
from tests.conftest import MakeKey
from tests.recorded import record
from tests.speechless import manifest, write_corpus

PATH = "/v1/comparisons"


@pytest.fixture
def two(audited: Audited) -> list[str]:
    """An audit with every other clip broken, and one of a model that nothing breaks."""
    return [audited(), audited(unbroken(found_rows()), model={"id": "other", "sha256": "1" * 64})]


def compared(client: TestClient, audits: list[str], **more: Any) -> dict[str, Any]:
    answer = client.post(PATH, json={"audits": audits, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refused(client: TestClient, status: int, audits: list[str], **more: Any) -> dict[str, Any]:
    """What is said of it: with field, value and remedy, the same to a POST and to a link."""
    answer = client.post(PATH, json={"audits": audits, **more})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    (fault,) = problem["errors"]
    assert fault["value"]
    assert fault["remedy"]
    by_link = client.get(PATH, params={"audits": audits, **more})
    assert (by_link.status_code, by_link.json()["code"]) == (status, problem["code"])
    return problem


class TestWhoMay:
    def test_anonymous_is_401(self, client: TestClient, make_key: MakeKey) -> None:
        make_key("audit")
        assert client.post(PATH, json={"audits": ["a", "b"]}).status_code == 401

    def test_without_the_scope_is_403(self, client: TestClient, make_key: MakeKey) -> None:
        key = make_key("predict")
        answer = client.post(PATH, json={"audits": ["a", "b"]}, headers=key.headers)
        assert answer.status_code == 403

    def test_anothers_audit_is_404(
        self, client: TestClient, make_key: MakeKey, audited: Audited
    ) -> None:
        key, other = make_key("audit"), make_key("audit")
        mine, others = audited(owner=key.id), audited(owner=other.id)
        answer = client.post(PATH, json={"audits": [mine, others]}, headers=key.headers)
        assert answer.status_code == 404
        (fault,) = answer.json()["errors"]
        assert (fault["field"], fault["value"]) == ("audits.1", f"'{others}'")


class TestComparison:
    def test_says_what_is_common_and_ranks(self, client: TestClient, two: list[str]) -> None:
        found = compared(client, two)
        assert (found["object"], found["status"]) == ("comparison", "done")
        assert [(one["id"], one["name"]) for one in found["audits"]] == [
            (two[0], "A"), (two[1], "B"),
        ]  # fmt: skip
        assert found["common"] == {"clips": 12, "speakers": 4, "points": 2, "left_out": []}
        assert found["comparisons"] == 1 + 2 * (2 + 3) == len(found["deltas"])
        (worst,) = [
            one
            for one in found["deltas"]
            if (one["case"], one["strength"], one["figure"]) == ("worst_case", 0.1, "success_rate")
        ]
        assert (worst["a"], worst["b"]) == tuple(two)
        # Six of twelve clips are broken; the first has no label.
        assert (worst["of_a"], worst["of_b"], worst["n"]) == (6 / 11, 0.0, 11)
        assert worst["mcnemar"] == {"b": 6, "c": 0, "p": pytest.approx(2 * 0.5**6)}
        assert found["ranking"][0]["sentence"].startswith("Do not rank A and B on the clips")

    def test_every_count_is_what_the_rows_add_up_to(
        self, client: TestClient, two: list[str]
    ) -> None:
        found = compared(client, two)
        rows = [
            {row["clip"]: row for row in client.get(f"/v1/audits/{one}/results").json()["data"]}
            for one in two
        ]
        (cells,) = [
            one for one in found["crossed"] if (one["attack"], one["strength"]) == ("fgsm", 0.1)
        ]
        counts = dict.fromkeys(("both", "only_a", "only_b", "neither"), 0)
        for name, row in rows[0].items():
            if row["label"] is None:
                continue
            a, b = (each[name]["attacked"][1]["success"] for each in rows)
            counts[
                {(1, 1): "both", (1, 0): "only_a", (0, 1): "only_b", (0, 0): "neither"}[a, b]
            ] += 1
        assert {name: cells[name]["n"] for name in counts} == counts
        assert counts == {"both": 0, "only_a": 6, "only_b": 0, "neither": 5}
        assert [one["clip"] for one in cells["only_a"]["clips"]] == [
            name for name, row in rows[0].items() if row["attacked"][1]["success"]
        ]
        assert [one["a"] for one in cells["only_a"]["clips"]] == [1, 3, 5, 7, 9, 11]

    def test_its_link_answers_the_same(self, client: TestClient, two: list[str]) -> None:
        found = compared(client, two, baseline=two[1], figures=["uar"], all=True)
        assert client.get(found["url"]).json() == found
        assert {(one["a"], one["b"]) for one in found["deltas"]} == {(two[1], two[0])}
        assert {one["figure"] for one in found["deltas"]} == {"uar"}

    def test_the_audits_measure_is_the_one_of_each_side(
        self, client: TestClient, two: list[str]
    ) -> None:
        result = client.get(f"/v1/audits/{two[0]}").json()["result"]
        told = {
            (one["case"], one["strength"]): one["of_a"]
            for one in compared(client, two, figures=["uar"])["deltas"]
        }
        assert told["clean", None] == pytest.approx(result["clean"]["uar"])
        for point in result["curve"]:
            assert told["point", point["strength"]] == pytest.approx(point["uar"])
        for case in result["worst_case"]:
            assert told["worst_case", case["strength"]] == pytest.approx(case["uar"])

    def test_other_clips_are_left_out_and_counted(
        self, client: TestClient, audited: Audited
    ) -> None:
        found = compared(client, [audited(found_rows()[:9]), audited(found_rows()[3:])])
        assert (found["common"]["clips"], found["deltas"][0]["n"]) == (6, 6)
        assert [one["clips"] for one in found["common"]["left_out"]] == [3, 3]

    def test_five_audits_are_ten_pairs(self, client: TestClient, audited: Audited) -> None:
        found = compared(client, [audited() for _ in range(5)])
        assert len({(one["a"], one["b"]) for one in found["deltas"]}) == 10
        assert {one["better"] for one in found["ranking"]} == {None}

    def test_the_same_corpus_uploaded_twice_is_compared_with_a_warning(
        self, client: TestClient, audited: Audited, storage: Storage
    ) -> None:
        ids = ["corpus_01K9ZQ3W8M4V7T2X6B5N0C1DE1", "corpus_01K9ZQ3W8M4V7T2X6B5N0C1DE2"]
        for one in ids:
            write_corpus(storage.corpus_dir(one), manifest())
        found = compared(client, [audited(corpus=one) for one in ids])
        assert found["common"]["clips"] == 12
        assert "several corpora" in found["warnings"][0]

    def test_uploaded_clips_are_known_by_their_bytes(
        self, client: TestClient, audited: Audited
    ) -> None:
        voices = [b"voice %d" % n for n in range(12)]
        found = compared(client, [audited(uploads=voices), audited(uploads=[*voices[:9], *b"xyz"
                                  .split(b"|") * 3])])  # fmt: skip
        assert found["common"]["clips"] == 9
        assert found["crossed"][0]["neither"]["clips"][0]["clip"] == "é1.wav"


class TestDiffers:
    def rows(self, client: TestClient, *audits: str, **more: Any) -> dict[str, list[Any]]:
        found = compared(client, list(audits), **more)
        return {row["field"]: list(row["values"].values()) for row in found["differs"]}

    @pytest.mark.parametrize(
        ("changed", "row"),
        [
            ({}, {}),
            ({"request": {"seed": 7}}, {"request.seed": [0, 7]}),
            (
                {"request": {"attacks": [{"type": "fgsm", "epsilon": [0.0, 0.1], "clip": 0.3}]}},
                {"request.attacks.fgsm.clip": [None, 0.3]},
            ),
            (
                {
                    "request": {
                        "attacks": [{"type": "noise", "epsilon": [0.1]}, *REQUEST["attacks"]]
                    }
                },
                {"request.attacks.noise": [None, {"epsilon": [0.1]}]},
            ),
            ({"request": {"harden": {"iterations": 3}}},
             {"request.harden": [None, {"iterations": 3}]}),
            ({"environment": {"torch": "3"}}, {"environment.torch": ["2", "3"]}),
            ({"environment": {"device": "H100"}}, {"environment.device": ["cpu", "H100"]}),
            (
                {"model": {"id": "b", "name": "b", "sha256": "1" * 64}, "request": {"model": "b"}},
                {
                    "model": [
                        {"id": "knowing", "name": "knowing", "sha256": "0" * 64},
                        {"id": "b", "name": "b", "sha256": "1" * 64},
                    ]
                },
            ),
        ],
    )  # fmt: skip
    def test_one_field_is_one_row(
        self,
        client: TestClient,
        audited: Audited,
        changed: dict[str, Any],
        row: dict[str, list[Any]],
    ) -> None:
        assert self.rows(client, audited(), audited(**changed)) == row

    def test_all_has_the_fields_that_agree_too(self, client: TestClient, audited: Audited) -> None:
        every = self.rows(client, audited(), audited(), all=True)
        assert every["environment.torch"] == ["2", "2"]
        assert {"model", "clips", "request.seed", "request.attacks.fgsm.epsilon"} <= every.keys()


class TestEvidence:
    def test_stands_beside_each_audit(self, client: TestClient, audited: Audited) -> None:
        found = compared(client, [audited(evidence="weak"), audited()])
        assert [one["evidence"] for one in found["audits"]] == ["weak", "sound"]
        assert found["warnings"] == []

    def test_that_is_invalid_is_warned_of_and_its_audit_is_not_ranked(
        self, client: TestClient, audited: Audited
    ) -> None:
        rows = [
            row.model_copy(update={"index": n, "clip": f"{n}.wav"})
            for n, row in enumerate(found_rows() * 6)
        ]
        others = [audited(unbroken(rows)), audited(unbroken(rows))]
        ranked = compared(client, [audited(rows), *others])["ranking"]
        assert any(one["better"] for one in ranked)
        found = compared(client, [audited(rows, evidence="invalid"), *others])
        assert found["warnings"][0].startswith("The evidence of A is invalid")
        assert {one["better"] for one in found["ranking"]} == {None}
        for one in found["ranking"]:
            refused = one["sentence"].endswith(": the evidence of A is invalid.")
            assert refused == (one["a"] == found["audits"][0]["id"]), one["sentence"]

    def test_that_nobody_knows_is_warned_of(self, client: TestClient, audited: Audited) -> None:
        found = compared(client, [audited(), audited(evidence=None)])
        assert found["audits"][1]["evidence"] is None
        (warning,) = found["warnings"]
        assert warning.startswith("What the evidence of B is worth is not known")

    @pytest.mark.parametrize("evidence", ["invalid", None])
    def test_counts_before_and_after_hardening_too(
        self, audited: Audited, session: Session, storage: Storage, evidence: Evidence | None
    ) -> None:
        rows = found_rows()
        before = session.get_one(Job, audited(rows, evidence=evidence))
        result = AuditResult.model_validate(before.result)
        points = [(one.attack, one.strength) for one in result.curve]
        after = Outcomes("after", result.labels, result.attacks, points)
        for row in unbroken(rows):
            after.add(row)
        warned: list[str] = []
        found = service.before_after(before, storage, after, "sound", warned.append)
        (warning,) = warned
        assert "the evidence of the model before" in warning.lower()
        refused = [one.sentence.endswith("model before is invalid.") for one in found.ranking]
        assert set(refused) == {evidence == "invalid"}

    def test_stands_in_markdown(self, client: TestClient, audited: Audited) -> None:
        both = [audited(evidence=None), audited(evidence="invalid")]
        text = client.get(PATH, params={"audits": both, "format": "markdown"}).text
        assert "| succeeded | not known |" in text
        assert "| succeeded | invalid |" in text
        assert "- Note: The evidence of B is invalid" in text


@pytest.fixture
def running(session: Session, audited: Audited) -> list[str]:
    """An audit that is done, and one that has just been queued."""
    queued = record(session, Submission(JobKind.AUDIT, "local", REQUEST, model="knowing"))
    return [audited(), queued.id]


class TestWhileOneRuns:
    def test_the_answer_is_the_state_of_each(self, client: TestClient, running: list[str]) -> None:
        found = compared(client, running)
        assert found["status"] == "waiting"
        assert [one["status"] for one in found["audits"]] == ["succeeded", "queued"]
        assert found["audits"][1]["progress"]["done"] == 0
        assert (found["deltas"], found["common"], found["ranking"]) == (None, None, None)

    def test_the_link_holds_and_has_the_comparison_later(
        self, client: TestClient, running: list[str], audited: Audited
    ) -> None:
        url = compared(client, running)["url"]
        assert client.get(url).json()["status"] == "waiting"
        audited(queued=running[1])
        found = client.get(url).json()
        assert (found["status"], found["url"], found["common"]["clips"]) == ("done", url, 12)

    @pytest.mark.parametrize("form", ["csv", "markdown"])
    def test_other_forms_are_without_figures(
        self, client: TestClient, running: list[str], form: str
    ) -> None:
        answer = client.get(PATH, params={"audits": running, "format": form})
        assert answer.status_code == 200
        assert ("Ask again" in answer.text) == (form == "markdown")


class TestRefused:
    def test_one_audit(self, client: TestClient, two: list[str]) -> None:
        assert refused(client, 422, two[:1])["errors"][0]["message"].endswith("not 1")

    def test_six_audits(self, client: TestClient) -> None:
        audits = [f"audit_{n}" for n in range(6)]
        assert refused(client, 422, audits)["errors"][0]["remedy"] == "give at most 5 items"

    def test_the_same_audit_twice(self, client: TestClient, two: list[str]) -> None:
        (fault,) = refused(client, 422, [two[0], two[1], two[0]])["errors"]
        assert (fault["field"], fault["value"]) == ("audits.2", f"'{two[0]}'")
        assert "is there twice" in fault["message"]

    def test_a_baseline_that_is_none_of_them(self, client: TestClient, two: list[str]) -> None:
        (fault,) = refused(client, 422, two, baseline="audit_X")["errors"]
        assert (fault["field"], fault["value"]) == ("baseline", "'audit_X'")

    def test_an_unknown_figure(self, client: TestClient, two: list[str]) -> None:
        (fault,) = refused(client, 422, two, figures=["eer"])["errors"]
        assert fault["field"] == "figures.0"
        assert "uar" in fault["remedy"]

    @pytest.mark.parametrize("wrong", ["audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF", "x", "../../etc"])
    def test_an_unknown_audit(self, client: TestClient, two: list[str], wrong: str) -> None:
        problem = refused(client, 404, [two[0], wrong])
        assert problem["errors"][0]["field"] == "audits.1"

    @pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELLED])
    def test_an_audit_that_has_failed(
        self, client: TestClient, session: Session, running: list[str], status: JobStatus
    ) -> None:
        session.get_one(Job, running[1]).status = status
        session.commit()
        problem = refused(client, 422, running)
        assert problem["code"] == "audit_without_findings"
        assert str(status) in problem["detail"]

    def test_audits_of_other_labels(self, client: TestClient, audited: Audited) -> None:
        problem = refused(client, 422, [audited(), audited(joy="delight")])
        assert (problem["code"], problem["errors"][0]["field"]) == ("other_labels", "audits.1")
        assert "delight" in problem["detail"]

    def test_audits_of_other_corpora(self, client: TestClient, audited: Audited) -> None:
        other = "corpus_01K9ZQ3W8M4V7T2X6B5N0C1DEX"
        problem = refused(client, 422, [audited(), audited(corpus=other)])
        assert (problem["code"], problem["errors"][0]["field"]) == ("no_common_clips", "audits.1")
        assert other in problem["detail"]

    def test_audits_of_other_clips(self, client: TestClient, audited: Audited) -> None:
        rows = found_rows()
        problem = refused(client, 422, [audited(rows[:6]), audited(rows[6:])])
        assert problem["code"] == "no_common_clips"

    def test_uploads_whose_recordings_are_gone(
        self, client: TestClient, audited: Audited, storage: Storage
    ) -> None:
        both = [audited(uploads=[b"voice"] * 12) for _ in range(2)]
        files.remove_audio(storage, both[1], 1)
        problem = refused(client, 422, both)
        assert problem["code"] == "recordings_removed"
        assert both[1] in problem["detail"]

    def test_audits_whose_files_are_gone(
        self, client: TestClient, two: list[str], storage: Storage
    ) -> None:
        storage.remove(storage.job_dir(two[1]))
        assert refused(client, 404, two)["errors"][0]["field"] == "audits.1"

    def test_more_than_is_compared_at_once(
        self, client: TestClient, two: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(service, "MOST_ANSWERS", 71)
        assert refused(client, 422, two)["code"] == "too_large_to_compare"

    def test_a_third_comparison_at_the_same_time_is_503(
        self, client: TestClient, two: list[str], taken: None
    ) -> None:
        answer = client.post(PATH, json={"audits": two})
        assert (answer.status_code, answer.json()["code"]) == (503, "comparisons_busy")
        assert answer.headers["retry-after"] == "2"

    def test_a_misspelt_field(self, client: TestClient, two: list[str]) -> None:
        assert refused(client, 422, two, base="x")["errors"][0]["remedy"].startswith("remove it")

    def test_a_form_that_there_is_not(self, client: TestClient, two: list[str]) -> None:
        answer = client.get(PATH, params={"audits": two}, headers={"Accept": "image/png"})
        assert answer.status_code == 406


@pytest.fixture
def taken() -> Iterator[None]:
    """Two comparisons are being made."""
    for _ in range(2):
        assert service.COMPARING.acquire(blocking=False)
    yield
    service.COMPARING.release(2)


class TestForms:
    def test_csv_has_a_line_for_each_difference(self, client: TestClient, two: list[str]) -> None:
        answer = client.get(PATH, params={"audits": two}, headers={"Accept": "text/csv"})
        assert answer.headers["content-type"].startswith("text/csv")
        assert answer.headers["vary"] == "Accept"
        lines = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        deltas = compared(client, two)["deltas"]
        assert len(lines) == len(deltas)
        for line, one in zip(lines, deltas, strict=True):
            assert (line["figure"], line["case"], line["a"]) == (
                one["figure"],
                one["case"],
                one["a"],
            )
            assert float(line["value"]) == one["value"]
            assert [float(line["low"]), float(line["high"])] == one["interval"]
            assert int(line["mcnemar_b"]) == one["mcnemar"]["b"]

    def test_markdown_has_ranking_differences_and_table(
        self, client: TestClient, two: list[str]
    ) -> None:
        answer = client.post(PATH, json={"audits": two}, params={"format": "markdown"})
        assert answer.headers["content-type"].startswith("text/markdown")
        assert "- Do not rank A and B on the clips as they are" in answer.text
        assert "In common: 12 clips of 4 speakers; attacks at a strength: 2." in answer.text
        assert "| 0.1 sigma (features linf), fgsm | success\\_rate | A → B | 0.545 | 0.000 |" in (
            answer.text
        )

    def test_markdown_is_short_enough_for_a_comment_and_says_what_it_leaves_out(
        self, client: TestClient, audited: Audited, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("app.comparisons.formats.MOST_CHARACTERS", 2_000)
        text = client.post(
            PATH, json={"audits": [audited() for _ in range(3)]}, params={"format": "markdown"}
        ).text
        assert len(text) <= 2_000 < MOST_CHARACTERS
        assert "The rest is left out: /v1/comparisons?audits=" in text

    def test_names_of_others_are_no_markup_and_no_formula(
        self, client: TestClient, audited: Audited
    ) -> None:
        evil = {"id": "m", "name": "<img src=x onerror=alert(1)>|`x`\n# y"}
        both = [audited(), audited(model=evil)]
        text = client.get(PATH, params={"audits": both, "format": "markdown"}).text
        assert "<img" not in text
        assert "\n# y" not in text
        assert "&lt;img src=x onerror=alert(1)&gt;\\|" in text

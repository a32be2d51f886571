"""Audits, from the queued row to the result."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session
from torch import Tensor

from app.audits import files
from app.audits.result import AuditResult
from app.audits.rows import OFFSET_BYTES
from app.corpora.tables import Corpus
from models.attacks import parse
from models.audit import AuditRow, AuditSummary, summarize
from models.corpus.features import FeatureFile
from tests import spoken
from tests.workers.audits.audits import (
    CLIPS,
    FGSM,
    GRID,
    audited,
    claimed,
    done,
    ended,
    events,
    findings,
    performed,
    request,
    rows,
    submit,
)
from tests.workers.audits.conftest import Passes
from workers.runtime.context import WorkerContext
from workers.runtime.progress import Watchdog

HARDEN = {"defense": {"type": "vanilla"}, "when": {"epsilon": 0.6, "success_rate_above": 0.1}}
PGD = {"type": "pgd", "epsilon": [0.4], "steps": 5}
NOISE = {"type": "noise", "epsilon": [0.4], "draws": 3}
WAVE = {"type": "pgd", "domain": "waveform", "snr_db": [60, 10], "steps": 3}


class TestResult:
    def test_has_the_figures_of_each_strength(
        self, client: TestClient, model: str, corpus: Corpus
    ) -> None:
        result = audited(client, request(model, corpus))["result"]
        AuditResult.model_validate(result)
        assert (result["n"], result["of"], result["complete"]) == (CLIPS, CLIPS, True)
        assert result["clean"]["uar"] == 1
        assert result["clean"]["recall"] == {"anger": 1, "joy": 1, "sadness": 1}
        assert [point["strength"] for point in result["curve"]] == GRID
        weakest, *_, strongest = result["curve"]
        assert weakest["success_rate"] == 0
        assert weakest["uar"] == result["clean"]["uar"]
        assert strongest["success_rate"] > 0
        assert strongest["uar"] < 1
        assert sum(strongest["counts"].values()) == CLIPS
        assert 0 <= strongest["survives_as_audio"] <= 1
        assert strongest["snr_db"] > 0

    def test_names_each_attack_once_and_refers_to_it_by_its_index(
        self, client: TestClient, model: str, corpus: Corpus
    ) -> None:
        attacks = [PGD, NOISE, WAVE]
        result = audited(client, request(model, corpus, attacks=attacks))["result"]
        told = result["attacks"]
        assert [(one["index"], one["type"], one["control"]) for one in told] == [
            (0, "pgd", False),
            (1, "noise", True),
            (2, "pgd", False),
        ]
        assert told[0]["parameters"] == parse(PGD).parameters()
        assert told[0]["threat"] == {"domain": "features", "norm": "linf", "unit": "sigma"}
        assert told[2]["threat"] == {"domain": "waveform", "norm": "l2", "unit": "dB"}
        assert [(one["attack"], one["strength"]) for one in result["curve"]] == [
            (0, 0.4),
            (1, 0.4),
            (2, 60),
            (2, 10),
        ]
        cases = [(one["threat"], one["strength"]) for one in result["worst_case"]]
        assert cases == [
            (told[0]["threat"], 0.4),
            (told[2]["threat"], 60),
            (told[2]["threat"], 10),
        ]

    def test_can_be_added_up_again_from_the_rows_alone(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        attacks = [FGSM, PGD | {"minimum": True}, NOISE, WAVE]
        job = audited(client, request(model, corpus, attacks=attacks))
        result = AuditResult.model_validate(job["result"])
        again = summarize(
            [AuditRow.model_validate(row) for row in rows(context, job["id"])],
            result.labels,
            [parse(one) for one in attacks],
            of=CLIPS,
            scale=result.scale,
            seconds={one.index: one.cost.seconds for one in result.attacks},
        )
        wanted = result.model_dump(include=set(AuditSummary.model_fields))
        found = again.model_dump()
        for each in (wanted, found):
            del each["cost"]["seconds"]  # a sum of what is rounded
        assert found == wanted

    def test_a_forecast_of_exact_attacks_is_what_was_spent(
        self, client: TestClient, model: str, corpus: Corpus
    ) -> None:
        body = request(model, corpus, attacks=[FGSM, PGD, NOISE, WAVE])
        told = client.post("/v1/audits?dry_run=true", json=body).json()
        job = audited(client, body)
        passes = ("forwards", "backwards", "queries")
        spent = {name: job["result"]["cost"][name] for name in passes}
        assert spent == {name: told[name] for name in passes}
        forecast = job["result"]["forecast"]
        del told["object"]
        assert forecast == told
        assert forecast["exact"] is True
        assert events(client, job["id"], "forecast") == [forecast]

    def test_what_was_spent_is_what_went_through_the_network(
        self, client: TestClient, model: str, corpus: Corpus, passes: Passes
    ) -> None:
        """While it is scored: beside it, no more than a pass of each successful attack's sound."""
        result = audited(client, request(model, corpus, attacks=[PGD, NOISE]))["result"]
        heard = sum(point["played"] for point in result["curve"])
        assert heard > 0
        assert passes.clips == result["cost"]["forwards"] + heard
        # Of a clip: its score, five steps and the last point, three draws, two scores.
        assert result["cost"]["forwards"] == CLIPS * (1 + 6 + 3 + 2)
        assert result["cost"]["backwards"] == CLIPS * 5
        assert result["cost"]["queries"] == CLIPS * 3

    def test_progress_is_told_in_passes_and_of_what_is_made_of_them(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        attempt = claimed(context, submit(client, request(model, corpus)))
        told: list[tuple[float, float | None, str | None]] = []

        class Noting(Watchdog):
            def progress(
                self, done: float, total: float | None = None, unit: str | None = None, **_: Any
            ) -> None:
                told.append((done, total, unit))

        performed(context, attempt, Noting(attempt, time_limit_seconds=60))
        # Of a clip: its score, the gradient of fgsm (there and back), a score of each strength.
        total = CLIPS * (1 + 2 + len(GRID))
        scored = [one for one in told if one[2] == "passes"]
        assert {one[1] for one in scored} == {total}
        assert [one[0] for one in scored] == sorted(one[0] for one in scored)
        assert len({one[0] for one in scored}) == 5 * (1 + 1 + len(GRID))  # batches of four
        made = [(shown, 8, "artifacts") for shown in range(9)]
        assert [one for one in told if one[2] == "artifacts"] == made
        assert told[-2:] == [made[-1], (total, total, "passes")]

    def test_progress_ends_with_all_passes(
        self, client: TestClient, model: str, corpus: Corpus
    ) -> None:
        job = audited(client, request(model, corpus))
        total = CLIPS * (1 + 2 + len(GRID))
        assert job["progress"] == {
            "done": total,
            "total": total,
            "unit": "passes",
            "eta_seconds": None,
        }
        found = client.get(f"/v1/audits/{job['id']}/events").json()["data"]
        kinds = [event["type"] for event in found]
        assert kinds[:3] == ["queued", "running", "forecast"]
        assert kinds[-1] == "succeeded"
        assert events(client, job["id"], "scored")[-1] == {"clips": CLIPS, "of": CLIPS}

    def test_a_limit_takes_so_many_of_each_emotion(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        job = audited(client, request(model, corpus, partition="all", limit=9, seed=3))
        found = rows(context, job["id"])
        assert [row["label"] for row in found].count("joy") == 3
        index = (findings(context, job["id"]) / files.ROWS).with_suffix(".index")
        assert len(index.read_bytes()) == 9 * OFFSET_BYTES
        assert job["result"]["n"] == 9

    def test_clips_of_unknown_emotions_are_left_out_with_a_warning(
        self, client: TestClient, corpus: Corpus, context: WorkerContext, session: Session
    ) -> None:
        model = spoken.add_model(session, context.storage, labels=("anger", "joy", "calm"))
        job = audited(client, request(model, corpus))
        assert job["result"]["n"] == 12
        assert job["result"]["clean"]["recall"]["calm"] is None
        assert job["warnings"] == [
            "Clips of emotions that the model does not know are left out: sadness (6 clips)."
        ]

    def test_what_cannot_be_done_any_more_fails_and_says_why(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        job_id = submit(client, request(model, corpus))
        for path in context.storage.corpus_dir(corpus.id).glob("features*"):
            path.write_bytes(b"")
        job = ended(client, job_id)
        assert job["status"] == "failed"
        assert job["error"]["code"] == "bad_features"

    @pytest.mark.parametrize("what", ["corpora", "models"])
    def test_files_that_this_host_does_not_see_in_time_fail_it_by_that_name(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext, what: str
    ) -> None:
        job_id = submit(client, request(model, corpus))
        context.storage.wait_seconds = 0.1
        folder = context.storage.root / what
        folder.rename(folder.with_name("elsewhere"))
        job = ended(client, job_id)
        assert (job["status"], job["error"]["code"]) == ("failed", "files_not_visible")


class TestFeatures:
    def test_only_those_of_the_clips_that_are_drawn_are_read(
        self,
        client: TestClient,
        model: str,
        corpus: Corpus,
        context: WorkerContext,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        read: set[int] = set()
        clip = FeatureFile.clip

        def noted(file: FeatureFile, number: int) -> Tensor:
            read.add(number)
            return clip(file, number)

        monkeypatch.setattr(FeatureFile, "clip", noted)
        job = audited(client, request(model, corpus, limit=5))
        order = {name: number for number, name in enumerate(spoken.names())}
        assert read == {order[row["clip"]] for row in rows(context, job["id"])}
        assert len(read) == 5


class TestRows:
    def test_a_clip_is_told_with_what_is_known_of_it(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        job = audited(client, request(model, corpus))
        first = rows(context, job["id"])[0]
        assert first["clip"] == "eve/anger-0.wav"
        assert (first["label"], first["speaker"], first["gender"]) == ("anger", "eve", None)
        assert first["duration_s"] == 0.4

    def test_a_point_is_told_with_its_size_and_its_cost(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        job = audited(client, request(model, corpus, attacks=[FGSM, PGD]))
        for row in rows(context, job["id"]):
            zero, *_, pgd = row["attacked"]
            assert [one["strength"] for one in row["attacked"]] == [*GRID, 0.4]
            assert zero["distortion"] == {"linf": 0, "l2": 0, "snr_db": None, "band_db": 0}
            assert pgd["distortion"]["linf"] == pytest.approx(0.4, rel=1e-5)
            assert pgd["cost"] == {"forwards": 6 + 1, "backwards": 5, "queries": 0}
            assert sum(pgd["scores"].values()) == pytest.approx(1, abs=1e-5)

    def test_a_control_says_how_many_of_its_draws_changed_the_label(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        noise = NOISE | {"epsilon": [4.0]}
        job = audited(client, request(model, corpus, attacks=[noise]))
        (point,) = job["result"]["curve"]
        found = [row["attacked"][0] for row in rows(context, job["id"])]
        broken = sum(one["details"]["broken_draws"] for one in found)
        assert {one["cost"]["queries"] for one in found} == {3}
        assert 0 < broken < 3 * CLIPS
        assert point["mean_success_rate"] == pytest.approx(broken / (3 * CLIPS))
        assert point["mean_success_rate"] < point["success_rate"]
        assert job["result"]["worst_case"] == []  # noise is no adversary


class TestWaveforms:
    def test_they_are_attacked_within_their_snr_and_as_a_file_holds_them(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        job = audited(client, request(model, corpus, attacks=[WAVE]))
        weak, strong = job["result"]["curve"]
        assert weak["success_rate"] < strong["success_rate"]
        for row in rows(context, job["id"]):
            for one, wanted in zip(row["attacked"], (60, 10), strict=True):
                assert one["distortion"]["snr_db"] >= wanted - 0.01
                assert one["audio"] is None  # it is sound already
        assert strong["survives_as_audio"] is None
        assert 10 <= strong["snr_db"] < 11
        assert strong["distortion"]["snr_db"] == strong["snr_db"]

    def test_of_a_corpus_whose_recordings_are_gone_they_fail_the_job_before_a_pass(
        self,
        client: TestClient,
        model: str,
        corpus: Corpus,
        context: WorkerContext,
        passes: Passes,
    ) -> None:
        job_id = submit(client, request(model, corpus, attacks=[FGSM, WAVE]))
        for path in (context.storage.corpus_dir(corpus.id) / "audio").iterdir():
            path.unlink()
        job = ended(client, job_id)
        assert (job["status"], job["error"]["code"]) == ("failed", "no_recordings")
        assert "Upload the corpus again" in job["error"]["message"]
        assert passes.batches == []

    def test_log_mels_need_none_and_then_nothing_is_played(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        job_id = submit(client, request(model, corpus))
        for path in (context.storage.corpus_dir(corpus.id) / "audio").iterdir():
            path.unlink()
        job = done(client, job_id)
        strongest = job["result"]["curve"][-1]
        assert strongest["success_rate"] > 0
        assert (strongest["played"], strongest["survives_as_audio"]) == (0, None)
        (warning,) = job["warnings"]
        assert "nothing is played as sound" in warning


class TestMinimum:
    def test_the_smallest_strength_of_each_clip_is_told_with_its_quartiles(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        attacks = [FGSM | {"minimum": True}, PGD]
        job = audited(client, request(model, corpus, attacks=attacks))
        (told,) = job["result"]["minimum"]
        found = [row["minimum"] for row in rows(context, job["id"])]
        assert {one["attack"] for (one,) in found} == {0}
        smallest = [one["strength"] for (one,) in found if one["strength"] is not None]
        assert (told["attack"], told["unbroken"]) == (0, CLIPS - len(smallest))
        assert 0.02 < min(smallest) <= max(smallest) <= 0.6
        assert job["result"]["forecast"]["exact"] is False
        assert job["progress"]["done"] == job["progress"]["total"]


class TestWindows:
    """Clips of .4 to .6 s, of which a model with a window of .5 s sees one or two."""

    @pytest.fixture
    def short(self, context: WorkerContext, session: Session) -> str:
        return spoken.add_model(session, context.storage, frames=32)

    def test_all_of_a_long_clip_are_scored_or_the_first(
        self, client: TestClient, short: str, corpus: Corpus, context: WorkerContext, passes: Passes
    ) -> None:
        seen = {}
        for windows in ("all", "first"):
            passes.batches.clear()
            body = request(short, corpus, attacks=[NOISE | {"draws": 1}], windows=windows)
            job = audited(client, body)
            assert job["result"]["windows"] == windows
            seen[windows] = job, rows(context, job["id"]), passes.clips
        (all_, of_all, many), (first, of_first, few) = seen["all"], seen["first"]
        assert all_["result"]["cost"]["forwards"] == first["result"]["cost"]["forwards"]
        assert many > few  # a pass of a long clip is one of each of its windows
        for one, other in zip(of_all, of_first, strict=True):
            same = one["clean"]["scores"] == other["clean"]["scores"]
            assert same == (one["duration_s"] < 0.6), one["clip"]  # .5 s are 30 frames

    def test_an_audit_scores_what_the_service_scores(
        self, client: TestClient, short: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        job = audited(client, request(short, corpus, limit=6))
        for row in rows(context, job["id"]):
            number = spoken.names().index(row["clip"])
            path = context.storage.corpus_dir(corpus.id) / "audio" / f"{number + 1:06d}.wav"
            answer = client.post(
                f"/v1/predict?model={short}",
                content=path.read_bytes(),
                headers={"Content-Type": "audio/wav"},
            ).json()
            for one in answer["scores"]:
                assert one["score"] == pytest.approx(row["clean"]["scores"][one["label"]], abs=2e-6)


class TestPrecision:
    @pytest.mark.parametrize("precision", ["float32", "tf32"])
    def test_it_is_recorded(
        self, client: TestClient, model: str, corpus: Corpus, precision: str
    ) -> None:
        job = audited(client, request(model, corpus, limit=3, precision=precision))
        assert job["result"]["precision"] == precision
        report = client.get(job["urls"]["report"]).json()
        assert report["result"]["precision"] == precision


class TestWhatCannotBeAttacked:
    """A model that gives no gradient, or no scores, must not pass for a robust one."""

    def test_saturated_scores_are_told_with_their_number(
        self, client: TestClient, corpus: Corpus, context: WorkerContext, session: Session
    ) -> None:
        steep = spoken.add_model(session, context.storage, steepness=1e4)
        job = audited(client, request(steep, corpus, harden=HARDEN))
        assert [point["no_direction"] for point in job["result"]["curve"]] == [0, 18, 18, 18]
        assert job["result"]["hardening"]["success_rate"] == 0
        (warning,) = job["warnings"]
        assert warning.startswith("On 18 of 18 clips fgsm had nothing to go by")
        assert "understate" in warning
        assert "last layer" in warning

    def test_dividing_the_last_layer_as_the_warning_says_brings_the_gradient_back(
        self, client: TestClient, model: str, corpus: Corpus
    ) -> None:
        job = audited(client, request(model, corpus))
        assert [point["no_direction"] for point in job["result"]["curve"]] == [0, 0, 0, 0]
        assert job["result"]["curve"][-1]["success_rate"] > 0
        assert job["warnings"] == []

    def test_a_model_that_understates_its_deviations_is_told_from_a_robust_one(
        self,
        client: TestClient,
        model: str,
        corpus: Corpus,
        context: WorkerContext,
        session: Session,
    ) -> None:
        """The same function of the speech, of which ε is a fiftieth as much."""
        sly = spoken.add_model(session, context.storage, understated=50)
        honest, robust = (audited(client, request(one, corpus)) for one in (model, sly))
        assert robust["result"]["clean"] == honest["result"]["clean"]
        assert (
            robust["result"]["curve"][-1]["success_rate"]
            < honest["result"]["curve"][-1]["success_rate"]
        )
        assert robust["result"]["scale"]["median"] == pytest.approx(
            50 * honest["result"]["scale"]["median"], rel=0.01
        )
        assert honest["warnings"] == []
        (warning,) = robust["warnings"]
        assert warning.startswith("An ε of log-mels counts the deviations")
        assert f"by {robust['result']['scale']['median']:g} of them" in warning

    def test_its_snr_says_what_it_says(
        self, client: TestClient, corpus: Corpus, context: WorkerContext, session: Session
    ) -> None:
        """The strength of an attack on waveforms does not count in the model's deviations."""
        sly = spoken.add_model(session, context.storage, understated=50)
        assert audited(client, request(sly, corpus, attacks=[WAVE]))["warnings"] == []

    def test_scores_that_are_no_numbers_fail_the_audit(
        self, client: TestClient, corpus: Corpus, context: WorkerContext, session: Session
    ) -> None:
        broken = spoken.add_model(session, context.storage, steepness=2e38)
        job = ended(client, submit(client, request(broken, corpus)))
        assert job["status"] == "failed"
        assert job["error"]["code"] == "non_finite_scores"
        assert "its weights overflow" in job["error"]["message"]
        assert job["result"] is None


class TestUploads:
    def upload(
        self, client: TestClient, model: str, labels: list[str | None] | None, **attack: Any
    ) -> str:
        clips = [("anger", 0.5), ("joy", 0.3), ("sadness", 2.0)]
        parts = [
            ("file", (f"{emotion}.wav", spoken.wav(emotion, 3, seconds), "audio/wav"))
            for emotion, seconds in clips
        ]
        attacks = [{"type": "fgsm", "epsilon": [0.6], **attack}]
        body = {"model": model, "attacks": attacks, "labels": labels}
        answer = client.post("/v1/audits", files=parts, data={"request": json.dumps(body)})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def test_are_audited_in_their_order(
        self, client: TestClient, model: str, context: WorkerContext
    ) -> None:
        job = done(client, self.upload(client, model, ["anger", "joy", "sadness"]))
        assert job["result"]["clean"]["uar"] == 1
        found = rows(context, job["id"])
        assert [row["clip"] for row in found] == ["anger.wav", "joy.wav", "sadness.wav"]
        assert [row["duration_s"] for row in found] == [0.5, 0.3, 2.0]
        assert {row["speaker"] for row in found} == {None}

    def test_one_that_cannot_be_read_any_more_fails_the_job_and_is_named(
        self, client: TestClient, model: str, context: WorkerContext
    ) -> None:
        job_id = self.upload(client, model, None)
        folder = files.inputs_dir(context.storage, job_id)
        files.input_path(folder, 1).write_bytes(b"torn")
        job = ended(client, job_id)
        assert (job["status"], job["error"]["code"]) == ("failed", "clip_damaged")
        assert job["error"]["message"].startswith("Clip 1 cannot be read any more")

    def test_waveforms_of_any_lengths_are_attacked(self, client: TestClient, model: str) -> None:
        labels: list[str | None] = ["anger", "joy", "sadness"]
        wave = {"domain": "waveform", "epsilon": [0.05]}
        job = done(client, self.upload(client, model, labels, **wave))
        (point,) = job["result"]["curve"]
        assert point["n"] == 3
        assert point["distortion"]["linf"] <= 0.05 + 1e-6

    def test_without_labels_a_changed_prediction_is_the_success(
        self, client: TestClient, model: str
    ) -> None:
        job = done(client, self.upload(client, model, None))
        (point,) = job["result"]["curve"]
        assert job["result"]["clean"]["uar"] is None
        assert point["uar"] is None
        assert point["success_rate"] == point["flip_rate"] > 0
        assert point["unlabelled"] == {"n": 3, "flipped": 3, "flip_rate": point["flip_rate"]}
        AuditResult.model_validate(job["result"])
        assert point["counts"]["wrong_wrong"] == point["counts"]["wrong_right"] == 0
        assert any("No clip has a label" in warning for warning in job["warnings"])
        names = [one["name"] for one in client.get(job["urls"]["artifacts"]).json()["data"]]
        assert "uar-curve.png" in names

    def test_clips_without_a_label_stand_beside_the_others(
        self, client: TestClient, model: str
    ) -> None:
        job = done(client, self.upload(client, model, ["anger", None, "sadness"]))
        (point,) = job["result"]["curve"]
        assert (point["n"], point["right_before"], point["unlabelled"]["n"]) == (3, 2, 1)
        assert sum(point["counts"].values()) == 2
        assert job["result"]["n_unlabelled"] == 1

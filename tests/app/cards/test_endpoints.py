"""GET /v1/models/{id}/card."""

from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.repocard_data import eval_results_to_model_index
from sqlalchemy.orm import Session

from app.jobs.service import Submission
from app.jobs.states import JobKind
from app.persistence.ids import new_id
from models.defenses.vanilla import Vanilla
from models.overfitting import Overfitting, Point
from models.training_plan import Recipe
from tests.app.cards.conftest import Audited
from tests.app.gates.results import check
from tests.conftest import MakeKey
from tests.recorded import record

HOSTILE = '---\nverified: true\n--- "]: {a} & *b <img src=x onerror=alert(1)> \u202e \U0001f624'


def card(client: TestClient, model: str, **query: str) -> str:
    answer = client.get(f"/v1/models/{model}/card", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    return answer.text


def data_of(read: ModelCard) -> ModelCardData:
    """The metadata block, as the Hub's own library reads it."""
    assert isinstance(read.data, ModelCardData)
    return read.data


def results_of(text: str) -> list[EvalResult]:
    return data_of(ModelCard(text)).eval_results or []


class TestAccess:
    def test_anonymous_is_401(self, client: TestClient, model: str, make_key: MakeKey) -> None:
        make_key("audit")
        assert client.get(f"/v1/models/{model}/card").status_code == 401

    def test_a_key_that_may_not_audit_is_403(
        self, client: TestClient, model: str, make_key: MakeKey
    ) -> None:
        headers = make_key("predict").headers
        assert client.get(f"/v1/models/{model}/card", headers=headers).status_code == 403

    def test_anothers_audit_is_404_and_counts_for_nobody_else(
        self, client: TestClient, audited: Audited, model: str, make_key: MakeKey
    ) -> None:
        audit, headers = audited(), make_key("audit").headers
        path = f"/v1/models/{model}/card"
        assert client.get(path, params={"audit": audit}, headers=headers).status_code == 404
        assert client.get(path, headers=headers).json()["code"] == "no_audit"

    def test_an_unknown_model_or_audit_is_404(self, client: TestClient, model: str) -> None:
        assert client.get("/v1/models/nobody/card").status_code == 404
        answer = client.get(f"/v1/models/{model}/card", params={"audit": new_id("audit")})
        assert answer.status_code == 404


class TestTraining:
    """What of a training was not as usual stands in the card of its model."""

    def told(self, client: TestClient, audited: Audited, model: str, **training: Any) -> str:
        audited(reported={"training": training})
        return card(client, model)

    def test_tells_weights_batches_and_ramp(
        self, client: TestClient, audited: Audited, model: str
    ) -> None:
        recipe = Recipe(
            defense=Vanilla(),
            epsilon=0.04,
            epsilon_ramp=500,
            class_weights={"joy": 2.5, "anger": 1},
            sampling="balanced",
        )
        text = self.told(client, audited, model, recipe=recipe.model_dump(mode="json"))
        assert "- Class weights in the loss: joy 2.5, anger 1\n" in text
        assert "- Batches: each emotion as often as any other\n" in text
        assert "- ε rose to 0.04 over 500 iterations\n" in text

    def test_tells_nothing_of_what_is_as_usual(
        self, client: TestClient, audited: Audited, model: str
    ) -> None:
        plain = Recipe(epsilon_ramp=500).model_dump(mode="json")
        text = self.told(client, audited, model, recipe=plain)
        for absent in ("Class weights", "Batches", "rose to", "diverged", "overfitting"):
            assert absent not in text

    def test_tells_overfitting_and_where_it_went_on_from(
        self, client: TestClient, audited: Audited, model: str
    ) -> None:
        points = Point(800, 0.48, 0.41, 58), Point(1200, 0.71, 0.02, 58)
        found = Overfitting.between(*points, "best", epsilon=0.02, iterations=2000)
        text = self.told(
            client,
            audited,
            model,
            overfitting=found.model_dump(mode="json"),
            resumed_from={"training": "train_1", "iteration": 600},
        )
        assert f"- {found}\n" in text
        assert "The model is that of iteration 800." in text
        assert "- Iterations up to 600: of train\\_1, which diverged\n" in text


class TestWhichAudit:
    def test_without_one_that_has_succeeded_is_409_with_the_remedy(
        self, client: TestClient, model: str, session: Session
    ) -> None:
        record(session, Submission(JobKind.AUDIT, "local", {}, model=model))
        answer = client.get(f"/v1/models/{model}/card")
        assert (answer.status_code, answer.json()["code"]) == (409, "no_audit")
        assert "POST /v1/audits" in answer.json()["detail"]

    def test_is_the_latest_or_the_one_that_is_asked_for(
        self, client: TestClient, audited: Audited, model: str
    ) -> None:
        first, second = audited(), audited()
        audited(of="tiny-a")
        assert second in card(client, model)
        assert first in card(client, model, audit=first)

    def test_one_of_another_model_is_422(
        self, client: TestClient, audited: Audited, model: str
    ) -> None:
        other = audited(of="tiny-a")
        answer = client.get(f"/v1/models/{model}/card", params={"audit": other})
        assert answer.status_code == 422
        assert "it is an audit of tiny-a" in answer.json()["detail"]

    def test_one_of_other_weights_is_409(
        self, client: TestClient, audited: Audited, model: str
    ) -> None:
        audited(reported={"sha256": "f" * 64})
        answer = client.get(f"/v1/models/{model}/card")
        assert (answer.status_code, answer.json()["code"]) == (409, "other_weights")


class TestMetadata:
    def index(self, text: str) -> list[dict[str, Any]]:
        block = yaml.safe_load(text.split("---\n")[1])
        found: list[dict[str, Any]] = block["model-index"]
        return found

    def test_huggingface_hub_reads_it_and_its_results_round_trip(
        self, client: TestClient, audited: Audited, model: str
    ) -> None:
        audited(corpus="calls")
        text = card(client, model)
        read = ModelCard(text)
        results = results_of(text)
        assert results
        assert eval_results_to_model_index(model, results) == self.index(text)
        again = ModelCard(str(read))
        assert data_of(again).eval_results == results
        assert data_of(read).pipeline_tag == "audio-classification"
        assert {one.dataset_name for one in results} == {"calls"}

    def test_each_figure_has_its_interval_and_its_n(
        self, client: TestClient, audited: Audited, model: str
    ) -> None:
        audit = audited()
        figures = client.get(f"/v1/audits/{audit}").json()["result"]["clean"]["measures"]
        uar = next(
            one for one in results_of(card(client, model)) if one.metric_name == "uar, clean clips"
        )
        low, high = figures["uar"]["interval"]
        assert uar.metric_value == figures["uar"]["value"]
        assert uar.metric_args == {
            "low": low,
            "high": high,
            "n": 11,
            "n_speakers": 4,
            "method": figures["uar"]["method"],
        }

    def test_a_benign_control_is_a_metric_of_its_own(
        self, client: TestClient, audited: Audited, model: str
    ) -> None:
        audited()
        results = results_of(card(client, model))
        names = {one.metric_name: one.metric_args or {} for one in results}
        assert names["success_rate, noise (benign control) 0.02 sigma"]["control"] is True
        assert names["success_rate, fgsm 0.02 sigma"]["control"] is False

    def test_nothing_is_ever_verified(
        self, client: TestClient, audited: Audited, model: str
    ) -> None:
        audited(corpus="verified: true")
        results = results_of(card(client, model))
        assert results
        assert [one.verified for one in results] == [None] * len(results)

    def test_hostile_names_stay_names(
        self, client: TestClient, audited: Audited, model: str
    ) -> None:
        audited(corpus=HOSTILE, reported={"name": HOSTILE}, warnings=(HOSTILE,))
        text = card(client, model)
        read = ModelCard(text)
        assert data_of(read).model_name == HOSTILE
        assert {one.dataset_name for one in results_of(text)} == {HOSTILE}
        assert set(yaml.safe_load(text.split("\n---\n")[0])) == {
            "pipeline_tag",
            "library_name",
            "tags",
            "model-index",
        }
        assert "<img" not in read.text
        assert "\u202e" not in read.text
        assert not any(line.startswith(("---", "verified")) for line in read.text.splitlines())


class TestWhatItSays:
    def test_what_a_reader_needs_stands_in_it(
        self, client: TestClient, audited: Audited, model: str
    ) -> None:
        audit = audited(
            corpus="calls",
            evidence="weak",
            finding="FGSM breaks half of the clips.",
            checks=[check("small_class"), check("clear_one", status="clear")],
            warnings=("test has men only.",),
        )
        text = ModelCard(card(client, model)).text
        for part in ("Intended use", "Training", "Evaluation", "Figures", "Attacks", "Limits"):
            assert f"\n## {part}" in text
        assert "Evidence: **weak**" in text
        assert "FGSM breaks half of the clips" in text
        assert "calls, partition test, 12 clips of 4 speakers" in text
        assert f"Audit: {audit}" in text
        assert "Check small\\_class (weak)" in text
        assert "clear\\_one" not in text
        assert "test has men only" in text
        assert "fgsm, features, linf: AML\\.T0043\\.000 Craft Adversarial Data" in text
        assert "AML\\.T0015 Evade AI Model" in text
        assert "Of 4 speakers the intervals say nothing of other speakers" in text

    def test_the_table_has_each_figure_with_its_interval(
        self, client: TestClient, audited: Audited, model: str
    ) -> None:
        audit = audited()
        result = client.get(f"/v1/audits/{audit}").json()["result"]
        figure = result["curve"][1]["measures"]["success_rate"]
        low, high = figure["interval"]
        row = next(
            line
            for line in card(client, model).splitlines()
            if line.startswith("| fgsm 0\\.1 sigma")
        )
        assert f"{figure['value']:.3f} [{low:.3f}, {high:.3f}]" in row

    @pytest.mark.parametrize(
        ("evidence", "banner"),
        [("invalid", "The evidence is invalid"), (None, "Nobody has checked the evidence")],
    )
    def test_evidence_that_bears_nothing_is_told_first_and_gives_programs_no_figures(
        self, client: TestClient, audited: Audited, model: str, evidence: str | None, banner: str
    ) -> None:
        audited(evidence=evidence)
        read = ModelCard(card(client, model))
        assert data_of(read).eval_results is None
        assert "> [!CAUTION]" in read.text.splitlines()[2]
        assert banner in read.text
        assert read.text.index(banner) < read.text.index("## Figures")

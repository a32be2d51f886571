"""An attack of one's own: its class is all that there is of it, and it is everywhere.

The promise of docs/adding-an-attack.md. The attack is registered by the test, and by nothing else.
"""

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from fastapi.testclient import TestClient
from matplotlib.figure import Figure
from pydantic import Field
from safetensors import safe_open
from torch import Tensor

from app.audits import files
from app.audits.report import Report
from app.cli import main
from app.cli.api import Api
from app.corpora.tables import Corpus
from models.attacks import ATTACKS, Attack
from models.rng import Rng
from models.threats import expand
from models.victims import Cost, View
from tests.workers.audits.audits import CLIPS, claimed, findings, performed, rows, submit
from workers.audits.artifacts import Pictures
from workers.audits.pictures import draw_curves
from workers.runtime.context import WorkerContext


class Toy(Attack):
    """The gradient a times, and a word about it."""

    can_target: ClassVar[bool] = True

    type: Literal["toy"] = "toy"
    a: int = Field(2, ge=1, le=9, description="How often the gradient is asked for.")
    b: Literal["x", "y"] = Field("y", description="A word that changes nothing.")

    def run_cost(self, n_classes: int) -> Cost:
        """A pass there and back each time."""
        return Cost(forwards=self.a, backwards=self.a)

    def run(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        """See :meth:`Attack.run`."""
        point = x.detach()
        for _ in range(self.a):
            gradient = view.gradient(point, self.objective(y)).gradient
            point = x + expand(radius, x) * self.threat.steepest(gradient)
        return point


SAID: dict[str, Any] = {"type": "toy", "a": 1, "b": "x", "epsilon": [0.02, 0.6]}


@pytest.fixture(autouse=True)
def toy() -> Iterator[None]:
    ATTACKS.register(Toy)
    yield
    ATTACKS.unregister("toy")
    assert "toy" not in ATTACKS


@pytest.fixture
def body(model: str, corpus: Corpus) -> dict[str, Any]:
    return {"model": model, "corpus": corpus.id, "attacks": [SAID]}


class TestDescriptions:
    def test_the_document_has_its_parameters_with_their_bounds(self, client: TestClient) -> None:
        schemas = client.get("/openapi.json").json()["components"]["schemas"]
        fields = schemas["Toy"]["properties"]
        assert fields["type"]["const"] == "toy"
        assert (fields["a"]["minimum"], fields["a"]["maximum"]) == (1, 9)
        assert (fields["a"]["default"], fields["a"]["description"]) == (
            2,
            "How often the gradient is asked for.",
        )
        assert fields["b"]["enum"] == ["x", "y"]
        for request in ("AuditRequest", "UploadedAuditRequest"):
            attack = schemas[request]["properties"]["attacks"]["items"]
            assert attack["discriminator"]["mapping"]["toy"] == "#/components/schemas/Toy"

    def test_the_help_of_the_command_lists_it(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["serval", "audit", "--help"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "toy: The gradient a times, and a word about it." in said
        assert "a [2]: How often the gradient is asked for." in said
        assert "b [y]: A word that changes nothing." in said

    def test_a_value_out_of_bounds_is_refused_by_its_field(
        self, client: TestClient, body: dict[str, Any]
    ) -> None:
        answer = client.post("/v1/audits", json=body | {"attacks": [SAID | {"a": 10}]})
        (fault,) = answer.json()["errors"]
        assert (answer.status_code, fault["field"]) == (422, "attacks.0.a")
        assert (fault["value"], fault["remedy"]) == ("10", "give a value of at most 9")


class TestCommandLine:
    def test_it_is_asked_for_by_its_name_and_parameters(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        asked: list[dict[str, Any]] = []

        def send(_api: Api, _method: str, _path: str, **given: Any) -> dict[str, str]:
            asked.append(given["json"])
            return {"id": "audit_1"}

        monkeypatch.setattr(Api, "send", send)
        words = ("audit", "--model", "m", "--corpus", "corpus_1", "--no-wait", "--attack")
        monkeypatch.setattr(sys, "argv", ["serval", *words, "toy a=1 b=x epsilon=0.02"])
        with pytest.raises(SystemExit):
            main()
        assert capsys.readouterr().out == "audit_1\n"
        (attack,) = asked[0]["attacks"]
        assert attack == {"type": "toy", "a": 1, "b": "x", "epsilon": [0.02]}
        assert ATTACKS.parse(attack) == Toy(a=1, b="x", epsilon=(0.02,))


class TestAudit:
    """A real one, in this process."""

    @pytest.fixture
    def drawn(self) -> list[Any]:
        """The curves and the names that pictures were drawn with."""
        return []

    @pytest.fixture
    def job(
        self, client: TestClient, body: dict[str, Any], context: WorkerContext, drawn: list[Any]
    ) -> dict[str, Any]:
        def curves(*given: Any, **options: Any) -> bytes:
            drawn.append(draw_curves(*given, **options))
            return b"\x89PNG"

        def pair(*_: Any, attack: str, **__: Any) -> bytes:
            drawn.append(attack)
            return b"\x89PNG"

        attempt = claimed(context, submit(client, body))
        outcome = performed(context, attempt, pictures=Pictures(pair, curves))
        attempt.succeed(outcome.result)
        found: dict[str, Any] = client.get(f"/v1/audits/{attempt.job_id}").json()
        return found

    def test_its_request_is_stored_with_every_default(self, job: dict[str, Any]) -> None:
        (stored,) = job["input"]["attacks"]
        assert (stored["type"], stored["a"], stored["b"]) == ("toy", 1, "x")
        assert ATTACKS.parse(stored) == ATTACKS.parse(SAID)

    def test_the_result_names_it_and_its_curve_refers_to_it(self, job: dict[str, Any]) -> None:
        (told,) = job["result"]["attacks"]
        assert (told["index"], told["type"]) == (0, "toy")
        assert (told["parameters"]["a"], told["parameters"]["b"]) == (1, "x")
        assert told["cost"]["backwards"] == CLIPS * 2
        weak, strong = job["result"]["curve"]
        assert [(one["attack"], one["strength"]) for one in (weak, strong)] == [(0, 0.02), (0, 0.6)]
        assert weak["success_rate"] < strong["success_rate"]
        assert job["result"]["worst_case"][-1]["broken_by"] == {
            "0": strong["counts"]["right_wrong"]
        }

    def test_its_rows_say_what_it_did(self, job: dict[str, Any], context: WorkerContext) -> None:
        for row in rows(context, job["id"]):
            weak, strong = row["attacked"]
            assert (weak["attack"], strong["strength"]) == (0, 0.6)
            assert strong["cost"] == {"forwards": 1 + 1, "backwards": 1, "queries": 0}

    def test_its_parameters_are_columns_of_the_csv(
        self, job: dict[str, Any], client: TestClient
    ) -> None:
        answer = client.get(job["urls"]["results"], params={"format": "csv"})
        table = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        assert len(table) == CLIPS * 2
        assert {(one["type"], one["attack:a"], one["attack:b"]) for one in table} == {
            ("toy", "1", "x")
        }

    def test_the_report_has_it(self, job: dict[str, Any], client: TestClient) -> None:
        report = Report.model_validate(client.get(job["urls"]["report"]).json())
        assert report.result.attacks[0].parameters["b"] == "x"
        assert report.request["attacks"][0]["a"] == 1

    def test_pictures_name_it(self, job: dict[str, Any], drawn: list[Any]) -> None:
        figures = [one for one in drawn if isinstance(one, Figure)]
        (axes,) = figures[0].axes
        legend = axes.get_legend()
        assert legend is not None
        assert "TOY, a 1, b x" in [text.get_text() for text in legend.get_texts()]
        titles = [one for one in drawn if isinstance(one, str)]
        assert set(titles) <= {"TOY, a 1, b x, ε = 0.6", "TOY, a 1, b x, ε = 0.02"}
        assert len(titles) == 4

    def test_artifacts_say_what_made_them(
        self, job: dict[str, Any], context: WorkerContext
    ) -> None:
        folder = findings(context, job["id"])
        told = [one.description for one in files.read_artifacts(folder)]
        assert any("under TOY, a 1, b x, ε = 0.6" in one for one in told)
        path: Path = folder / files.ARTIFACTS / files.INPUTS_FILE
        with safe_open(path, framework="pt") as file:
            points = json.loads(file.metadata()["points"])
        assert {one["type"] for one in points.values()} == {"toy"}
        assert {one["parameters"]["a"] for one in points.values()} == {1}

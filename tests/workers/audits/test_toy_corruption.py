"""A corruption of one's own: its class is all that there is of it, and it is everywhere.

The promise of docs/adding-a-corruption.md. It is registered by the test, and by nothing else.
"""

import csv
import io
import json
import sys
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import pytest
from fastapi.testclient import TestClient
from matplotlib.figure import Figure
from pydantic import Field
from safetensors import safe_open
from torch import Generator, Tensor

from app.audits import files
from app.audits.report import Report
from app.cli import main
from app.cli.api import Api
from app.corpora.tables import Corpus
from models.corruptions import CORRUPTIONS, Corruption, Few, Many
from tests.workers.audits.audits import CLIPS, claimed, findings, performed, rows, submit
from workers.audits.artifacts import Pictures
from workers.audits.pictures import draw_curves
from workers.runtime.context import WorkerContext


class Hum(Corruption):
    """The clip becomes deeper, and a word about it."""

    strength_name: ClassVar[str] = "times"
    unit: ClassVar[str] = "times as long"

    type: Literal["hum"] = "hum"
    times: Annotated[tuple[Annotated[int, Field(ge=1, le=9)], ...], Few, Many] = Field(
        description="How often each sample is heard."
    )
    word: Literal["x", "y"] = Field("y", description="A word that changes nothing.")

    def corrupt(self, waveform: Tensor, strength: float, generator: Generator) -> Tensor:
        """See :meth:`Corruption.corrupt`."""
        return waveform.repeat_interleave(int(strength))


SAID: dict[str, Any] = {"type": "hum", "times": [1, 4], "word": "x"}


@pytest.fixture(autouse=True)
def hum() -> Iterator[None]:
    CORRUPTIONS.register(Hum)
    yield
    CORRUPTIONS.unregister("hum")


@pytest.fixture
def body(model: str, corpus: Corpus) -> dict[str, Any]:
    return {"model": model, "corpus": corpus.id, "corruptions": [SAID]}


class TestDescriptions:
    def test_the_document_has_its_parameters_with_their_bounds(self, client: TestClient) -> None:
        schemas = client.get("/openapi.json").json()["components"]["schemas"]
        fields = schemas["Hum"]["properties"]
        assert fields["times"]["items"] == {"type": "integer", "minimum": 1, "maximum": 9}
        assert (fields["times"]["minItems"], fields["times"]["maxItems"]) == (1, 32)
        assert fields["word"]["description"] == "A word that changes nothing."
        for request in ("AuditRequest", "UploadedAuditRequest"):
            one = schemas[request]["properties"]["corruptions"]["items"]
            assert one["discriminator"]["mapping"]["hum"] == "#/components/schemas/Hum"

    def test_the_help_of_the_command_lists_it(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["serval", "audit", "--help"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "hum: The clip becomes deeper, and a word about it." in said
        assert "word [y]: A word that changes nothing." in said

    def test_a_value_out_of_bounds_is_refused_by_its_field(
        self, client: TestClient, body: dict[str, Any]
    ) -> None:
        wrong = body | {"corruptions": [SAID | {"times": [1, 10]}]}
        answer = client.post("/v1/audits", json=wrong)
        (fault,) = answer.json()["errors"]
        assert (answer.status_code, fault["field"]) == (422, "corruptions.0.times.1")
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
        words = ("audit", "--model", "m", "--corpus", "corpus_1", "--no-wait", "--corruption")
        monkeypatch.setattr(sys, "argv", ["serval", *words, "hum times=4 word=x"])
        with pytest.raises(SystemExit):
            main()
        assert capsys.readouterr().out == "audit_1\n"
        assert "attacks" not in asked[0]
        (one,) = asked[0]["corruptions"]
        assert CORRUPTIONS.parse(one) == Hum(times=(4,), word="x")


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

    def test_it_is_in_request_result_curve_and_report(
        self, job: dict[str, Any], client: TestClient
    ) -> None:
        assert job["input"]["corruptions"] == [SAID]
        (told,) = job["result"]["attacks"]
        assert (told["index"], told["type"], told["parameters"]) == (0, "hum", {"word": "x"})
        assert told["threat"] == {"domain": "corruption", "norm": "none", "unit": "times as long"}
        assert told["cost"]["forwards"] == CLIPS * 2
        same, deeper = job["result"]["curve"]
        assert (same["strength"], same["flip_rate"]) == (1, 0)
        assert (deeper["strength"], deeper["n"]) == (4, CLIPS)
        assert deeper["flip_rate"] > 0
        report = Report.model_validate(client.get(job["urls"]["report"]).json())
        assert report.result.attacks[0].parameters["word"] == "x"

    def test_its_rows_and_the_csv_say_what_it_did(
        self, job: dict[str, Any], context: WorkerContext, client: TestClient
    ) -> None:
        for row in rows(context, job["id"]):
            same, deeper = row["attacked"]
            assert same["scores"] == pytest.approx(row["clean"]["scores"], abs=1e-4)
            assert (deeper["attack"], deeper["strength"], deeper["distortion"]) == (0, 4, None)
            assert deeper["cost"] == {"forwards": 1, "backwards": 0, "queries": 0}
        answer = client.get(job["urls"]["results"], params={"format": "csv"})
        table = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        assert len(table) == CLIPS * 2
        assert {(one["type"], one["attack:word"], one["unit"]) for one in table} == {
            ("hum", "x", "times as long")
        }
        assert {one["snr_db"] for one in table} == {""}

    def test_pictures_and_artifacts_name_it(
        self, job: dict[str, Any], drawn: list[Any], context: WorkerContext
    ) -> None:
        (axes,) = next(one for one in drawn if isinstance(one, Figure)).axes
        assert axes.get_xlabel() == "times as long"
        legend = axes.get_legend()
        assert legend is not None
        assert "hum, word x" in [text.get_text() for text in legend.get_texts()]
        titles = {one for one in drawn if isinstance(one, str)}
        assert titles <= {"hum, word x, 4 times as long", "hum, word x, 1 times as long"}
        folder = findings(context, job["id"]) / files.ARTIFACTS
        with safe_open(folder / files.INPUTS_FILE, framework="pt") as file:
            points = json.loads(file.metadata()["points"])
            clean = next(name for name in file.keys() if name.endswith(".waveform"))  # noqa: SIM118
            heard = file.get_tensor(clean.replace("waveform", "attacked.001"))
            assert heard.tolist() == file.get_tensor(clean).repeat_interleave(4).tolist()
        assert {one["type"] for one in points.values()} == {"hum"}

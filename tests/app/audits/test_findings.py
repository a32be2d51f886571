"""Results, report and artifacts of an audit."""

import csv
import io
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.audits import files
from app.audits.rows import write_index
from app.jobs.service import Submission
from app.jobs.states import JobKind
from app.persistence.ids import new_id
from app.persistence.storage import Storage
from app.reports import typesetting
from tests.app.state import state
from tests.conftest import MakeKey
from tests.recorded import record

PATHS = (
    "results",
    "report",
    "report/signature",
    "bundle",
    "artifacts",
    "artifacts/uar-curve.png",
)


class TestAccess:
    @pytest.mark.parametrize("path", PATHS)
    def test_anonymous_is_401(
        self, client: TestClient, finished: str, make_key: MakeKey, path: str
    ) -> None:
        make_key("audit")
        assert client.get(f"/v1/audits/{finished}/{path}").status_code == 401

    @pytest.mark.parametrize("path", PATHS)
    def test_anothers_is_404(
        self, client: TestClient, finished: str, make_key: MakeKey, path: str
    ) -> None:
        key = make_key("audit")
        answer = client.get(f"/v1/audits/{finished}/{path}", headers=key.headers)
        assert answer.status_code == 404

    @pytest.mark.parametrize("path", PATHS)
    def test_none_is_404(self, client: TestClient, path: str) -> None:
        assert client.get(f"/v1/audits/{new_id('audit')}/{path}").status_code == 404

    @pytest.mark.parametrize("path", PATHS)
    def test_of_an_audit_that_has_not_succeeded_are_409(
        self, client: TestClient, session: Session, path: str
    ) -> None:
        job = record(session, Submission(JobKind.AUDIT, "local", {}))
        answer = client.get(f"/v1/audits/{job.id}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (409, "no_results")
        assert "is queued" in answer.json()["detail"]

    @pytest.mark.parametrize("path", PATHS)
    def test_removed_files_are_404(
        self, client: TestClient, finished: str, storage: Storage, path: str
    ) -> None:
        storage.remove(storage.job_dir(finished))
        answer = client.get(f"/v1/audits/{finished}/{path}")
        assert answer.status_code == 404
        assert "were removed" in answer.json()["detail"]

    @pytest.mark.parametrize("path", PATHS)
    def test_files_that_this_host_does_not_see_yet_are_503(
        self, client: TestClient, finished: str, storage: Storage, path: str
    ) -> None:
        state(client.app).storage.wait_seconds = 0.1
        storage.remove(storage.job_dir(finished))
        answer = client.get(f"/v1/audits/{finished}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (503, "files_not_visible")
        assert answer.headers["retry-after"] == "5"


class TestResults:
    def test_come_as_pages(self, client: TestClient, finished: str) -> None:
        first = client.get(f"/v1/audits/{finished}/results", params={"limit": 5}).json()
        assert (first["object"], first["has_more"]) == ("list", True)
        assert [row["index"] for row in first["data"]] == [0, 1, 2, 3, 4]
        rest = client.get(
            f"/v1/audits/{finished}/results", params={"limit": 100, "after": 4}
        ).json()
        assert rest["has_more"] is False
        assert [row["index"] for row in rest["data"]] == [5, 6, 7, 8, 9, 10, 11]

    def test_a_row_tells_what_the_model_says(self, client: TestClient, finished: str) -> None:
        row = client.get(f"/v1/audits/{finished}/results").json()["data"][1]
        scores = {"anger": 0.2, "joy": 0.3, "sadness": 0.5}
        common = {
            "attack": 0,
            "no_direction": False,
            "cost": {"forwards": 2, "backwards": 1, "queries": 0},
            "details": {},
        }
        assert row == {
            "index": 1,
            "clip": "é1.wav",
            "label": "joy",
            "speaker": "speaker 1",
            "gender": "f",
            "group": None,
            "duration_s": 0.6,
            "warnings": None,
            "clean": {"label": "joy", "scores": scores},
            "attacked": [
                common
                | {
                    "strength": 0,
                    "success": False,
                    "label": "joy",
                    "scores": scores,
                    "distortion": {"linf": 0, "l2": 0, "snr_db": None, "band_db": 0},
                    "audio": None,
                },
                common
                | {
                    "strength": 0.1,
                    "success": True,
                    "label": "sadness",
                    "scores": {"anger": 0.5, "joy": 0.2, "sadness": 0.3},
                    "distortion": {
                        "linf": 0.1,
                        "l2": 0.2,
                        "snr_db": None,
                        "band_db": pytest.approx(0.3),
                    },
                    "audio": {"label": "anger", "snr_db": 20.5},
                },
            ],
            "minimum": [],
        }

    @pytest.mark.parametrize("params", [{"format": "ndjson"}, {}])
    def test_ndjson_is_all_rows(
        self, client: TestClient, finished: str, params: dict[str, str]
    ) -> None:
        headers = {"Accept": "text/html;q=0.5, application/x-ndjson"}
        answer = client.get(f"/v1/audits/{finished}/results", params=params, headers=headers)
        assert answer.headers["content-type"].startswith("application/x-ndjson")
        rows = [json.loads(text) for text in answer.text.splitlines()]
        assert [row["index"] for row in rows] == list(range(12))

    def test_csv_has_a_line_for_each_clip_and_strength(
        self, client: TestClient, finished: str
    ) -> None:
        answer = client.get(f"/v1/audits/{finished}/results", params={"format": "csv"})
        assert answer.headers["content-type"].startswith("text/csv")
        rows = list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))
        assert len(rows) == 24
        assert rows[0]["label"] == ""
        assert rows[0]["gender"] == ""
        broken = rows[3]
        assert (broken["clip"], broken["speaker"]) == ("é1.wav", "speaker 1")
        assert (broken["gender"], broken["duration_s"]) == ("f", "0.6")
        assert (broken["attack"], broken["type"], broken["unit"]) == ("0", "fgsm", "sigma")
        assert (broken["strength"], broken["success"]) == ("0.1", "true")
        assert broken["no_direction"] == "false"
        assert (broken["clean"], broken["adversarial"], broken["audio"]) == (
            "joy",
            "sadness",
            "anger",
        )
        assert (broken["linf"], broken["l2"], broken["snr_db"]) == ("0.1", "0.2", "")
        assert (broken["forwards"], broken["backwards"], broken["queries"]) == ("2", "1", "0")
        assert float(broken["audio_snr_db"]) == 20.5
        assert float(broken["clean:joy"]) == 0.3
        assert float(broken["adversarial:anger"]) == 0.5

    @pytest.mark.parametrize(
        ("name", "cell"),
        [
            ("=HYPERLINK(1).wav", "'=HYPERLINK(1).wav"),
            ("@1.wav", "'@1.wav"),
            ("+1.wav", "'+1.wav"),
            ("-1.wav", "'-1.wav"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("-1.5", "-1.5"),
            ("a=1.wav", "a=1.wav"),
        ],
    )
    def test_no_cell_of_csv_is_a_spreadsheets_formula(
        self, client: TestClient, finished: str, storage: Storage, name: str, cell: str
    ) -> None:
        path = files.attempt_dir(storage, finished, 1) / files.ROWS
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            row |= {"clip": name, "speaker": name}
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        write_index(path)
        answer = client.get(f"/v1/audits/{finished}/results", params={"format": "csv"})
        told = csv.DictReader(io.StringIO(answer.content.decode(), newline=""))
        assert {(row["clip"], row["speaker"]) for row in told} == {(cell, cell)}

    def test_the_format_goes_before_the_header(self, client: TestClient, finished: str) -> None:
        answer = client.get(
            f"/v1/audits/{finished}/results",
            params={"format": "json"},
            headers={"Accept": "text/csv"},
        )
        assert answer.headers["content-type"] == "application/json"

    def test_the_most_specific_range_decides(self, client: TestClient, finished: str) -> None:
        headers = {"Accept": "application/json;q=0, */*"}
        answer = client.get(f"/v1/audits/{finished}/results", headers=headers)
        assert answer.headers["content-type"].startswith("application/x-ndjson")

    def test_what_is_accepted_may_come_in_several_lines(
        self, client: TestClient, finished: str
    ) -> None:
        headers = [("Accept", "text/html"), ("Accept", "text/csv")]
        answer = client.get(f"/v1/audits/{finished}/results", headers=headers)
        assert answer.headers["content-type"].startswith("text/csv")

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Accept": "application/json"}, 200),
            ({"Accept": "text/csv"}, 200),
            ({"Accept": "application/x-ndjson"}, 200),
            ({"Accept": "application/x-ndjson", "Range": "bytes=0-9"}, 206),
            ({"Accept": "application/x-ndjson", "Range": "bytes=9999999-"}, 416),
            ({"Accept": "application/x-ndjson", "If-None-Match": "*"}, 304),
            ({"Accept": "text/html"}, 406),
        ],
    )
    def test_caches_are_told_that_the_answer_hangs_on_accept(
        self, client: TestClient, finished: str, headers: dict[str, str], status: int
    ) -> None:
        answer = client.get(f"/v1/audits/{finished}/results", headers=headers)
        assert (answer.status_code, answer.headers["vary"]) == (status, "Accept")

    def test_what_there_is_not_is_406(self, client: TestClient, finished: str) -> None:
        headers = {"Accept": "application/xml"}
        answer = client.get(f"/v1/audits/{finished}/results", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")
        assert "text/csv" in answer.json()["detail"]

    @pytest.mark.parametrize("params", [{"limit": 0}, {"after": -1}, {"format": "xml"}])
    def test_bad_parameters_are_422(
        self, client: TestClient, finished: str, params: dict[str, Any]
    ) -> None:
        answer = client.get(f"/v1/audits/{finished}/results", params=params)
        assert answer.status_code == 422


class TestReportAsPdf:
    def test_comes_as_an_attachment_of_its_name(self, client: TestClient, finished: str) -> None:
        answer = client.get(f"/v1/audits/{finished}/report?format=pdf")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/pdf"
        assert answer.headers["content-disposition"] == f'attachment; filename="{finished}.pdf"'
        assert answer.content.startswith(b"%PDF-1.7")

    def test_is_chosen_by_accept(self, client: TestClient, finished: str) -> None:
        headers = {"Accept": "application/pdf"}
        answer = client.get(f"/v1/audits/{finished}/report", headers=headers)
        assert answer.headers["content-type"] == "application/pdf"

    def test_nothing_is_left_of_the_work(
        self, client: TestClient, finished: str, storage: Storage
    ) -> None:
        assert client.get(f"/v1/audits/{finished}/report?format=pdf").status_code == 200
        assert list((storage.root / "staging").iterdir()) == []

    def test_one_that_cannot_be_typeset_is_503(
        self, client: TestClient, finished: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(typesetting, "SECONDS", 0.01)
        answer = client.get(f"/v1/audits/{finished}/report?format=pdf")
        assert (answer.status_code, answer.json()["code"]) == (503, "report_too_large")
        assert "format=html" in answer.json()["detail"]


class TestArtifacts:
    def test_are_listed_with_their_addresses(self, client: TestClient, finished: str) -> None:
        (found,) = client.get(f"/v1/audits/{finished}/artifacts").json()["data"]
        assert found["name"] == "uar-curve.png"
        assert client.get(found["url"]).content == bytes(range(256)) * 4

    def test_are_served_as_what_they_are(self, client: TestClient, finished: str) -> None:
        answer = client.get(f"/v1/audits/{finished}/artifacts/uar-curve.png")
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["content-disposition"].endswith('filename="uar-curve.png"')
        assert answer.headers["x-content-type-options"] == "nosniff"

    def test_downloaders_may_ask_how_large_they_are(
        self, client: TestClient, finished: str
    ) -> None:
        path = f"/v1/audits/{finished}/artifacts/uar-curve.png"
        answer = client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-length"] == "1024"
        assert answer.headers["accept-ranges"] == "bytes"

    def test_come_in_parts(self, client: TestClient, finished: str) -> None:
        path = f"/v1/audits/{finished}/artifacts/uar-curve.png"
        part = client.get(path, headers={"Range": "bytes=256-259"})
        assert part.status_code == 206
        assert part.content == bytes([0, 1, 2, 3])
        assert part.headers["content-range"] == "bytes 256-259/1024"

    @pytest.mark.parametrize("wanted", ["bytes=5000-", "bytes=1024-1030", "bytes=0-1,9999-"])
    def test_a_part_that_is_not_there_is_416(
        self, client: TestClient, finished: str, wanted: str
    ) -> None:
        path = f"/v1/audits/{finished}/artifacts/uar-curve.png"
        beyond = client.get(path, headers={"Range": wanted})
        assert beyond.status_code == 416
        assert beyond.headers["content-type"] == "application/problem+json"
        assert beyond.headers["content-range"] == "bytes */1024"
        assert beyond.json()["code"] == "range_not_satisfiable"

    @pytest.mark.parametrize("wanted", ["bytes=abc", "bytes=", "items=0-1", "bytes=9-3", "none"])
    def test_a_range_that_is_none_is_ignored(
        self, client: TestClient, finished: str, wanted: str
    ) -> None:
        path = f"/v1/audits/{finished}/artifacts/uar-curve.png"
        whole = client.get(path, headers={"Range": wanted})
        assert whole.status_code == 200
        assert len(whole.content) == 1024

    def test_whoever_has_one_gets_304(self, client: TestClient, finished: str) -> None:
        path = f"/v1/audits/{finished}/artifacts/uar-curve.png"
        tag = client.get(path).headers["etag"]
        again = client.get(path, headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert client.get(path, headers={"If-None-Match": '"another"'}).status_code == 200
        lines = [("If-None-Match", '"another"'), ("If-None-Match", tag)]
        assert client.get(path, headers=lines).status_code == 304

    @pytest.mark.parametrize(
        "name",
        [
            "secret.txt",
            "figure2-1.png",
            "..%2Freport.json",
            "%2e%2e%2freport.json",
            "uar-curve.png%00",
            "uar-curve.png%0a",
            "C:\\boot.ini",
            "x" * 90,
        ],
    )
    def test_what_the_audit_did_not_make_is_404(
        self, client: TestClient, finished: str, name: str
    ) -> None:
        answer = client.get(f"/v1/audits/{finished}/artifacts/{name}")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"

    def test_only_names_of_a_fixed_form_are_looked_up(self) -> None:
        assert files.is_artifact(files.picture_name(1))
        assert files.is_artifact(files.sound_name(7, 3))
        assert files.is_artifact(files.clean_name(7))
        for suffix in (".png", ".svg", ".flac"):
            assert files.is_artifact(files.exhibit_name("easiest", "difference", suffix))
        assert not files.is_artifact("exhibit-easiest-difference.html")
        assert not files.is_artifact("adversarial-000001-01.wav\n")
        assert not files.is_artifact("../adversarial.safetensors")

"""GET /v1/audits/{id}/report and /v1/reports/schema."""

import json
from typing import Any

import jsonschema_rs
import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.audits.harden_request import When
from app.audits.report import SCHEMA_VERSION, Report
from app.audits.result import Hardening
from app.jobs.tables import Job
from app.persistence.ids import new_id
from app.reports import endpoints
from tests.conftest import MakeKey


class TestJson:
    def test_is_answered_where_nothing_is_asked_for(
        self, client: TestClient, finished: str
    ) -> None:
        answer = client.get(f"/v1/audits/{finished}/report")
        assert answer.headers["content-type"] == "application/json"
        report = Report.model_validate(answer.json())
        assert (report.object, report.audit) == ("report", finished)
        assert report.result.n == 12

    def test_says_its_shape(self, client: TestClient, finished: str) -> None:
        report = client.get(f"/v1/audits/{finished}/report").json()
        assert report["schema_version"] == SCHEMA_VERSION == "1.1"

    def test_has_the_warnings_of_the_job(self, client: TestClient, finished: str) -> None:
        report = client.get(f"/v1/audits/{finished}/report", params={"format": "json"}).json()
        assert report["warnings"] == ["The corpus' recordings are not at hand."]

    def test_names_what_the_audit_has_caused_since(
        self, client: TestClient, finished: str, session: Session
    ) -> None:
        job = session.get_one(Job, finished)
        when = When(epsilon=0.1, success_rate_above=0.3)
        caused = Hardening(when=when, success_rate=0.5, triggered=True, training="train_1")
        job.result = {**(job.result or {}), "hardening": caused.model_dump(mode="json")}
        session.commit()
        report = client.get(f"/v1/audits/{finished}/report").json()
        assert report["result"]["hardening"]["training"] == "train_1"


class TestHtml:
    @pytest.mark.parametrize(
        "asked",
        [
            {"params": {"format": "html"}},
            {"headers": {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}},
        ],
    )
    def test_is_a_file_to_be_saved(
        self, client: TestClient, finished: str, asked: dict[str, Any]
    ) -> None:
        answer = client.get(f"/v1/audits/{finished}/report", **asked)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        name = f'attachment; filename="{finished}.html"'
        assert answer.headers["content-disposition"] == name
        assert answer.text.startswith("<!doctype html>")

    def test_has_no_part_in_this_origin_if_a_browser_shows_it(
        self, client: TestClient, finished: str
    ) -> None:
        answer = client.get(f"/v1/audits/{finished}/report", params={"format": "html"})
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("sandbox allow-scripts; default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in policy
        assert "allow-same-origin" not in policy

    def test_has_the_warnings_of_the_job(self, client: TestClient, finished: str) -> None:
        page = client.get(f"/v1/audits/{finished}/report", params={"format": "html"}).text
        assert "The corpus&#39; recordings are not at hand." in page

    def test_links_to_the_service_that_wrote_it(self, client: TestClient, finished: str) -> None:
        page = client.get(f"/v1/audits/{finished}/report", params={"format": "html"}).text
        assert f'href="{client.base_url}/v1/audits/{finished}/results?format=csv"' in page

    def test_no_more_are_written_at_once_than_leave_cores_free(
        self, client: TestClient, finished: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(endpoints.WRITTEN, "most", 0)
        answer = client.get(f"/v1/audits/{finished}/report", params={"format": "html"})
        assert (answer.status_code, answer.json()["code"]) == (503, "reports_busy")
        assert answer.headers["retry-after"] == "2"


class TestNegotiation:
    def test_caches_are_told(self, client: TestClient, finished: str) -> None:
        for accept in ("text/html", "application/json", "application/xml"):
            answer = client.get(f"/v1/audits/{finished}/report", headers={"Accept": accept})
            assert answer.headers["vary"] == "Accept"

    def test_the_format_goes_before_the_header(self, client: TestClient, finished: str) -> None:
        headers = {"Accept": "text/html"}
        path = f"/v1/audits/{finished}/report"
        answer = client.get(path, params={"format": "json"}, headers=headers)
        assert answer.headers["content-type"] == "application/json"

    def test_what_there_is_not_is_406_and_told_what_there_is(
        self, client: TestClient, finished: str
    ) -> None:
        path = f"/v1/audits/{finished}/report"
        for answer in (
            client.get(path, params={"format": "docx"}),
            client.get(path, headers={"Accept": "application/xml"}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")
            assert "html" in answer.json()["detail"]


class TestAccess:
    @pytest.mark.parametrize("kind", ["json", "html"])
    def test_anonymous_is_401_and_anothers_404(
        self, client: TestClient, finished: str, make_key: MakeKey, kind: str
    ) -> None:
        key = make_key("audit")
        path = f"/v1/audits/{finished}/report?format={kind}"
        assert client.get(path).status_code == 401
        assert client.get(path, headers=key.headers).status_code == 404

    def test_none_is_404(self, client: TestClient) -> None:
        path = f"/v1/audits/{new_id('audit')}/report"
        assert client.get(path, params={"format": "html"}).status_code == 404


class TestSchema:
    def test_describes_every_report(self, client: TestClient, finished: str) -> None:
        answer = client.get("/v1/reports/schema")
        assert answer.headers["content-type"] == "application/schema+json"
        schema = answer.json()
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema["$id"] == "urn:serval:report:1.1"
        report = client.get(f"/v1/audits/{finished}/report").json()
        jsonschema_rs.validate(schema, report)

    def test_refuses_what_is_none(self, client: TestClient, finished: str) -> None:
        schema = client.get("/v1/reports/schema").json()
        report = client.get(f"/v1/audits/{finished}/report").json()
        report["result"]["n"] = "many"
        with pytest.raises(jsonschema_rs.ValidationError):
            jsonschema_rs.validate(schema, json.loads(json.dumps(report)))

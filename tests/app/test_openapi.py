"""The OpenAPI document tells all that a client needs."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from fastapi.testclient import TestClient
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel

from app.access.keys.schemas import KeyRequest
from app.audits.result import AuditResult
from app.audits.schemas import AuditRequest, UploadedAuditRequest
from app.comparisons.schemas import ComparisonRequest
from app.corpora.schemas import CorpusRequest
from app.detectors.schemas import Attachment
from app.jobs.schemas import Job
from app.jobs.states import JobKind
from app.predictions.schemas import HuggingFaceRequest
from app.registry.schemas import ModelUpload
from app.registry.starters import starters
from app.schemas import Schema
from app.studies.schemas import CellsRequest, StudyRequest, StudySummary
from app.trainings.any_request import parse
from app.trainings.schemas import TrainingRequest, TrainingResult

ROOT: Final = Path(__file__).resolve().parents[2]
BODIES: Final[dict[str, Callable[[Any], Schema]]] = {
    "POST /hf/{model}": HuggingFaceRequest.model_validate,
    "POST /v1/audits": AuditRequest.model_validate,
    "POST /v1/comparisons": ComparisonRequest.model_validate,
    "POST /v1/trainings": parse,
    "POST /v1/studies": StudyRequest.model_validate,
    "POST /v1/studies/{job_id}/cells": CellsRequest.model_validate,
    "POST /v1/keys": KeyRequest.model_validate,
    "PUT /v1/models/{model_id}/detector": Attachment.model_validate,
}
"""What the JSON of each request is."""
FORMS: Final[dict[str, dict[str, type[BaseModel] | None]]] = {
    "POST /v1/predict": {"file": None},
    "POST /v1/audits": {"file": None, "request": UploadedAuditRequest},
    "POST /v1/corpora": {"file": None, "request": CorpusRequest},
    "POST /v1/models": {"weights": None, "config": None, "name": None},
}
"""The parts of each form; None for those that are files or plain text."""
RESULTS: Final[dict[JobKind, type[BaseModel]]] = {
    JobKind.AUDIT: AuditResult,
    JobKind.TRAINING: TrainingResult,
    JobKind.STUDY: StudySummary,
}
WATCHED: Final = ("/healthz", "/readyz", "/metrics")


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


class TestPages:
    @pytest.mark.parametrize("page", ["/docs", "/redoc"])
    def test_all_that_they_load_comes_from_here(self, client: TestClient, page: str) -> None:
        """A script of another server would act with all rights while there is no key."""
        answer = client.get(page)
        assert answer.headers["content-type"].startswith("text/html")
        loaded = re.findall(r"""(?:src|href)=["']([^"']+)""", answer.text)
        assert any(name.endswith(".js") for name in loaded)
        for name in loaded:
            if not name.startswith("data:"):
                assert re.match("/[^/]", name)
                assert client.get(name).status_code == 200


def references(part: Any) -> Iterator[str]:
    """Every ``$ref`` in a part of the document."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


class TestOpenApi:
    def test_it_is_valid(self, document: dict[str, Any]) -> None:
        assert [str(fault) for fault in OpenAPIV31SpecValidator(document).iter_errors()] == []

    def test_every_reference_is_defined(self, document: dict[str, Any]) -> None:
        assert {"Problem", "FieldProblem"} <= document["components"]["schemas"].keys()
        for reference in references(document):
            found: Any = document
            for step in reference.removeprefix("#/").split("/"):
                assert step in found, reference
                found = found[step]

    def test_every_error_is_a_problem(self, document: dict[str, Any]) -> None:
        for name, operation in operations(document):
            for status, response in operation["responses"].items():
                if status[0] in "45":
                    assert list(response["content"]) == ["application/problem+json"], name

    def test_the_frameworks_own_error_is_nowhere(self, document: dict[str, Any]) -> None:
        assert "HTTPValidationError" not in str(document)

    def test_every_operation_has_a_tag_a_summary_and_a_name_of_its_own(
        self, document: dict[str, Any]
    ) -> None:
        told = {tag["name"] for tag in document["tags"]}
        for name, operation in operations(document):
            assert set(operation["tags"]) <= told, name
            assert operation["summary"], name
        names = [operation["operationId"] for _, operation in operations(document)]
        assert len(names) == len(set(names))

    def test_a_model_that_an_example_names_is_there_to_be_asked_for(
        self, document: dict[str, Any]
    ) -> None:
        for name, schema in document["components"]["schemas"].items():
            told = schema.get("properties", {}).get("model", {}).get("examples", [])
            shipped = {example for example in told if not example.startswith("model_")}
            assert shipped <= starters().keys(), name

    def test_keys_are_bearer_tokens(self, document: dict[str, Any]) -> None:
        (scheme,) = document["components"]["securitySchemes"].values()
        assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
        assert document["paths"]["/v1/jobs"]["get"]["security"]
        assert "security" not in document["paths"]["/healthz"]["get"]

    def test_no_summary_is_a_name_of_the_code(self, document: dict[str, Any]) -> None:
        for name, operation in operations(document):
            assert operation["summary"] == operation["summary"].capitalize() or (
                "Hugging Face" in operation["summary"]
            ), name

    def test_what_is_watched_needs_no_key_and_has_nothing_to_get_wrong(
        self, document: dict[str, Any]
    ) -> None:
        for path in WATCHED:
            assert {"401", "403", "422", "4XX"}.isdisjoint(
                document["paths"][path]["get"]["responses"]
            )

    def test_jobs_have_examples(self, document: dict[str, Any]) -> None:
        schemas = document["components"]["schemas"]
        assert schemas["Job"]["properties"]["id"]["examples"][0].startswith("audit_")


def examples(media: dict[str, Any]) -> list[Any]:
    """The values of a request's examples."""
    named = [one["value"] for one in media.get("examples", {}).values()]
    return named + ([media["example"]] if "example" in media else [])


def answers(document: dict[str, Any], path: str, method: str, status: int) -> list[Any]:
    """The values of an answer's examples."""
    answer = document["paths"][path][method]["responses"][str(status)]
    named = answer["content"]["application/json"]["examples"].values()
    names = [one["$ref"].removeprefix("#/components/examples/") for one in named]
    return [document["components"]["examples"][name]["value"] for name in names]


def shown(document: Any) -> Iterator[Any]:
    """Every named example of the document, as it stands there."""
    if isinstance(document, dict):
        if document.keys() == {"summary", "value"}:
            yield document
        for value in document.values():
            yield from shown(value)
    elif isinstance(document, list):
        for value in document:
            yield from shown(value)


class TestExamples:
    def test_every_example_in_a_file_is_shown(self, document: dict[str, Any]) -> None:
        """And so held to its model by what follows."""
        files = sorted((ROOT / "app").rglob("examples/*.json"))
        assert len(files) >= 7
        told = list(shown(document))
        for path in files:
            for name, example in json.loads(path.read_text()).items():
                assert example in told, f"{path.relative_to(ROOT)}: {name}"

    def test_every_json_request_has_some_that_hold(self, document: dict[str, Any]) -> None:
        found = {
            name: operation["requestBody"]["content"]["application/json"]
            for name, operation in operations(document)
            if "application/json" in operation.get("requestBody", {}).get("content", {})
        }
        assert found.keys() == BODIES.keys()
        for name, media in found.items():
            assert examples(media), name
            for value in examples(media):
                BODIES[name](value)

    def test_every_form_with_more_than_a_file_has_some_that_hold(
        self, document: dict[str, Any]
    ) -> None:
        found = {
            name: operation["requestBody"]["content"]["multipart/form-data"]
            for name, operation in operations(document)
            if "multipart/form-data" in operation.get("requestBody", {}).get("content", {})
        }
        assert found.keys() == FORMS.keys()
        for name, media in found.items():
            assert media["schema"]["properties"].keys() == FORMS[name].keys(), name
            assert examples(media) or FORMS[name].keys() == {"file"}, name
            for value in examples(media):
                assert value.keys() <= FORMS[name].keys()
                for part, model in FORMS[name].items():
                    if model is not None:
                        model.model_validate(value[part])

    def test_the_name_of_a_model_holds(self, document: dict[str, Any]) -> None:
        form = document["paths"]["/v1/models"]["post"]["requestBody"]["content"]
        for value in examples(form["multipart/form-data"]):
            ModelUpload(name=value["name"])

    def test_every_answer_with_a_job_shows_whole_ones(self, document: dict[str, Any]) -> None:
        results: set[type[BaseModel]] = set()
        for kind in ("audits", "trainings", "studies", "jobs"):
            for value in answers(document, f"/v1/{kind}/{{job_id}}", "get", 200):
                job = Job.model_validate(value)
                assert job.model_dump(mode="json") == value
                RESULTS[job.object].model_validate(job.result)
                results.add(RESULTS[job.object])
        assert results == set(RESULTS.values())
        for kind, status in (("audits", "queued"), ("trainings", "queued"), ("studies", "running")):
            (value,) = answers(document, f"/v1/{kind}", "post", 202)
            assert Job.model_validate(value).status == status

    def test_the_input_of_a_job_is_a_request_with_every_default(
        self, document: dict[str, Any]
    ) -> None:
        for kind, model in (
            ("audits", AuditRequest),
            ("trainings", TrainingRequest),
            ("studies", StudyRequest),
        ):
            for value in answers(document, f"/v1/{kind}/{{job_id}}", "get", 200):
                stored = value["input"]
                assert model.model_validate(stored).to_request() == stored

    def test_the_result_of_an_audit_has_all_that_there_is(self, document: dict[str, Any]) -> None:
        (value,) = (
            one
            for one in answers(document, "/v1/audits/{job_id}", "get", 200)
            if one["status"] == "succeeded"
        )
        whole = AuditResult.model_validate(value["result"]).model_dump(mode="json")
        assert value["result"] == whole

    def test_a_result_is_an_audits_a_trainings_or_a_studys(self, document: dict[str, Any]) -> None:
        kinds = document["components"]["schemas"]["Job"]["properties"]["result"]["anyOf"]
        assert [kind.get("$ref", "").rpartition("/")[2] for kind in kinds] == [
            "AuditResult",
            "TrainingResult",
            "DetectorResult",
            "StudySummary",
            "",
        ]


class TestBodies:
    def test_a_form_takes_no_other_parts(self, document: dict[str, Any]) -> None:
        for name, operation in operations(document):
            content = operation.get("requestBody", {}).get("content", {})
            if "multipart/form-data" in content:
                schema = content["multipart/form-data"]["schema"]
                assert schema["additionalProperties"] is False, name

    def test_an_audit_of_files_has_at_least_one(self, document: dict[str, Any]) -> None:
        form = document["paths"]["/v1/audits"]["post"]["requestBody"]["content"]
        assert form["multipart/form-data"]["schema"]["properties"]["file"]["minItems"] == 1

    def test_a_cursor_has_a_pattern(self, document: dict[str, Any]) -> None:
        (after,) = (
            one
            for one in document["paths"]["/v1/jobs"]["get"]["parameters"]
            if one["name"] == "after"
        )
        assert after["schema"]["anyOf"][0]["pattern"]

    def test_an_artifact_has_the_media_types_that_are_sent(self, document: dict[str, Any]) -> None:
        artifact = document["paths"]["/v1/audits/{job_id}/artifacts/{name}"]["get"]
        assert artifact["responses"]["200"]["content"].keys() == {
            "image/png",
            "image/svg+xml",
            "audio/wav",
            "audio/flac",
            "application/octet-stream",
        }


class TestHeaders:
    def answers(self, document: dict[str, Any]) -> Iterator[tuple[str, str, set[str]]]:
        """Operation, status and the documented headers of every answer."""
        for name, operation in operations(document):
            for status, answer in operation["responses"].items():
                yield name, status, set(answer.get("headers", {}))

    def test_what_makes_something_says_where_it_is(self, document: dict[str, Any]) -> None:
        for name, status, headers in self.answers(document):
            if status == "202":
                assert {"Location", "ETag"} <= headers, name
            if status == "201" and name != "POST /v1/keys":  # a key has no address
                assert "Location" in headers, name

    def test_what_passes_by_itself_says_when(self, document: dict[str, Any]) -> None:
        for name, status, headers in self.answers(document):
            assert ("Retry-After" in headers) == (status in {"429", "503"}), (name, status)

    def test_a_job_has_its_etag_and_the_wait_that_was_granted(
        self, document: dict[str, Any]
    ) -> None:
        told = {(name, status): headers for name, status, headers in self.answers(document)}
        for kind in ("audits", "trainings", "studies", "jobs"):
            name = f"GET /v1/{kind}/{{job_id}}"
            assert told[name, "200"] == {"ETag", "Preference-Applied"}
            assert told[name, "304"] == {"ETag"}

    def test_a_stream_of_events_takes_the_last_one_seen(self, document: dict[str, Any]) -> None:
        for kind in ("audits", "trainings", "studies", "jobs"):
            operation = document["paths"][f"/v1/{kind}/{{job_id}}/events"]["get"]
            taken = {(one["in"], one["name"]) for one in operation["parameters"]}
            assert ("header", "Last-Event-ID") in taken
            assert "text/event-stream" in operation["responses"]["200"]["content"]

"""The OpenAPI document: FastAPI's, with what it cannot know of the parts.

Errors are our problem documents in place of its own; the result of a job, of which the job's own
code knows nothing, is an audit's, that of a model's or a detector's training, or a study's.
"""

from typing import Any, Final

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from app.audits import endpoints as audits
from app.audits.result import AuditResult
from app.audits.schemas import UploadedAuditRequest
from app.corpora.schemas import CorpusRequest
from app.http.problems import Problem
from app.predictions.schemas import HuggingFaceRequest
from app.studies import endpoints as studies
from app.studies.schemas import StudySummary
from app.trainings import endpoints as trainings
from app.trainings.detector_request import DetectorResult
from app.trainings.schemas import TrainingResult

REFERENCE: Final = "#/components/schemas/{model}"
RESULTS: Final = (AuditResult, TrainingResult, DetectorResult, StudySummary)
BODIES: Final = (UploadedAuditRequest, CorpusRequest, HuggingFaceRequest)
"""Of requests that FastAPI does not read itself."""
EXAMPLES: Final = (
    audits.QUEUED
    | audits.JOBS
    | trainings.QUEUED
    | trainings.JOBS
    | studies.ACCEPTED
    | studies.JOBS
)


def install(app: FastAPI) -> None:
    """Make ``app.openapi()`` know the schemas that are only referred to."""
    made_by_fastapi = app.openapi

    def openapi() -> dict[str, Any]:
        document = made_by_fastapi()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        if Problem.__name__ not in schemas:
            document["components"] |= {"schemas": _ours() | schemas, "examples": EXAMPLES}
            _type_the_result(schemas)
        return document

    # FastAPI documents this way of extending it.
    app.openapi = openapi  # type: ignore[method-assign]


def _ours() -> dict[str, Any]:
    answers = [(model, "serialization") for model in (Problem, *RESULTS)]
    bodies = [(model, "validation") for model in BODIES]
    wanted = [*answers, *bodies]
    _, found = models_json_schema(wanted, ref_template=REFERENCE)  # type: ignore[arg-type]
    schemas: dict[str, Any] = found["$defs"]
    return schemas


def _type_the_result(schemas: dict[str, Any]) -> None:
    kinds = [{"$ref": REFERENCE.format(model=model.__name__)} for model in RESULTS]
    result = schemas["Job"]["properties"]["result"]
    result["anyOf"] = [*kinds, {"type": "null"}]

"""The OpenAPI document tells all that a client needs."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.registry.starters import starters


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


class TestOpenApi:
    def test_every_reference_is_defined(self, document: dict[str, Any]) -> None:
        schemas = document["components"]["schemas"]
        assert {"Problem", "FieldProblem"} <= schemas.keys()
        references = {part.split('"')[0] for part in str(document).split("#/components/schemas/")}
        assert {name.split("'")[0] for name in references if name[0].isalpha()} <= schemas.keys()

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

    def test_jobs_have_examples(self, document: dict[str, Any]) -> None:
        schemas = document["components"]["schemas"]
        assert schemas["Job"]["properties"]["id"]["examples"][0].startswith("audit_")

"""The OpenAPI document: FastAPI's, with our problem documents in place of its own errors."""

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from app.problems import Problem

REFERENCE = "#/components/schemas/{model}"


def install(app: FastAPI) -> None:
    """Make ``app.openapi()`` know the schema that `problems()` refers to."""
    made_by_fastapi = app.openapi

    def openapi() -> dict[str, Any]:
        document = made_by_fastapi()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        if Problem.__name__ not in schemas:
            _, ours = models_json_schema([(Problem, "serialization")], ref_template=REFERENCE)
            schemas |= ours["$defs"]
        return document

    # FastAPI documents this way of extending it.
    app.openapi = openapi  # type: ignore[method-assign]

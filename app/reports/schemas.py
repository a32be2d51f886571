"""What a report is asked for by, and the JSON Schema that describes it."""

from typing import Any, Final

from pydantic import Field

from app.audits.report import SCHEMA_VERSION, Report
from app.schemas import Schema

JSON_SCHEMA: Final = "application/schema+json"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


class ReportQuery(Schema):
    """In which form."""

    format: str | None = Field(default=None, max_length=20, examples=["html"])


def json_schema() -> dict[str, Any]:
    """Of the JSON of a report that is written now."""
    described = Report.model_json_schema(mode="serialization")
    return {"$schema": DIALECT, "$id": f"urn:serval:report:{SCHEMA_VERSION}"} | described

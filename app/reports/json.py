"""A report for programs: the document that `GET /v1/reports/schema` describes."""

from app.reports.material import Material


def write(material: Material) -> bytes:
    """The report as JSON."""
    return material.report.model_dump_json().encode()

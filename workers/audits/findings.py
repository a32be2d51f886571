"""What the owner of an audit should know of its figures, as warnings on the job."""

from typing import Final

from app.audits.result import AuditResult

TOLD: Final = ("gradients", "scale")
"""Checks that are warnings of the job, too: what they are raised by changes what a success rate, or
an ε, means."""


def warnings(result: AuditResult) -> list[str]:
    """Of the checks that are raised."""
    return [
        f"{check.measured} {check.remedy.text}"
        for name in TOLD
        for check in result.checks
        if check.id == name and check.status == "raised" and check.remedy is not None
    ]

"""Remedies of checks that another run settles: merge patches to the request of an audit."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from app.audits.schemas import parse_posted
from models.audit.checks import CheckResult


def patched(request: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """A request with a JSON merge patch applied (RFC 7396): null takes a field away."""
    found = dict(request)
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        elif isinstance(value, Mapping):
            inner = found.get(name)
            found[name] = patched(inner if isinstance(inner, Mapping) else {}, value)
        else:
            found[name] = value
    return found


def without_refused(request: dict[str, Any], checks: Sequence[CheckResult]) -> list[CheckResult]:
    """The checks, with no patch that makes a request which would be refused, such as one with too
    many strengths: its text stays."""
    return [_without_refused(request, check) for check in checks]


def _without_refused(request: dict[str, Any], check: CheckResult) -> CheckResult:
    if check.remedy is None or check.remedy.request is None:
        return check
    try:
        parse_posted(patched(request, check.remedy.request))
    except ValidationError:
        remedy = check.remedy.model_copy(update={"request": None})
        return check.model_copy(update={"remedy": remedy})
    return check

"""Comparisons over REST: the same answer to a POST and to a link."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Body, Query, Response
from pydantic import Field

from app.access.auth import MayAudit
from app.audits.formats import chosen
from app.comparisons import formats, service
from app.comparisons.schemas import PATH, Comparison, ComparisonRequest
from app.http.examples import read_examples
from app.http.listed_headers import listed
from app.http.negotiation import NegotiatedRoute
from app.http.problems import problems
from app.jobs.services import ServicesDep
from app.persistence.database import SessionDep
from app.schemas import Schema

REQUESTS: Final = read_examples(__file__, "requests")

router = APIRouter(prefix=PATH, tags=["comparisons"], route_class=NegotiatedRoute)

Accept = Annotated[str | None, listed("Accept", description="Used where `format` is not given.")]
Format = Literal["json", "csv", "markdown"]
FORMAT: Final = Field(
    default=None,
    description="JSON has all; CSV a line for each of `deltas`; Markdown a summary for a pull"
    " request.",
)


class FormatQuery(Schema):
    """In which form."""

    format: Format | None = FORMAT


class ComparisonQuery(ComparisonRequest):
    """The same as the body of a POST, and in which form."""

    format: Format | None = FORMAT


ANSWERS: Final = {
    200: {
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "text/markdown": {"schema": {"type": "string"}},
        }
    },
    **problems(404, 406, 410, 422, 503),
}


@router.post("", summary="Compare audits", response_model=Comparison, responses=ANSWERS)
def post_comparison(
    wanted: Annotated[ComparisonRequest, Body(openapi_examples=REQUESTS)],
    session: SessionDep,
    services: ServicesDep,
    caller: MayAudit,
    query: Annotated[FormatQuery, Query()],
    accept: Accept = None,
) -> Response:
    """Two to five audits on the clips and at the attacks and strengths that all of them have:
    differences with intervals that draw speakers, p adjusted for all comparisons, the clips that
    one withstands and the other does not, and whether that ranks the models. Nothing is stored;
    `url` in the answer is a link to the same."""
    kind = chosen(accept, formats.COMPARISONS, wanted=query.format)
    return _answer(service.compare(session, services.storage, wanted, owner=caller.owner), kind)


@router.get("", summary="A comparison by its link", response_model=Comparison, responses=ANSWERS)
def get_comparison(
    session: SessionDep,
    services: ServicesDep,
    caller: MayAudit,
    query: Annotated[ComparisonQuery, Query()],
    accept: Accept = None,
) -> Response:
    """What a POST with the same fields answers. While one of the audits runs, the answer has the
    status `waiting` and how far each of them is."""
    kind = chosen(accept, formats.COMPARISONS, wanted=query.format)
    return _answer(service.compare(session, services.storage, query, owner=caller.owner), kind)


def _answer(found: Comparison, kind: str) -> Response:
    return Response(formats.WRITTEN[kind](found), media_type=formats.COMPARISONS[kind])

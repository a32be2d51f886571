"""GET /v1/models/{id}/card."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from app.access.auth import MayAudit
from app.cards import service
from app.cards.schemas import CardQuery
from app.http.problems import problems
from app.jobs.services import ServicesDep
from app.persistence.database import SessionDep

router = APIRouter(prefix="/v1/models", tags=["models"])

MARKDOWN: Final = "text/markdown"


@router.get(
    "/{model_id}/card",
    summary="A model card, with the figures of an audit",
    response_class=Response,
    responses={
        200: {
            "description": "Markdown with the metadata block of the Hugging Face Hub: a README.md.",
            "content": {MARKDOWN: {"schema": {"type": "string"}}},
        },
        **problems(404, 409, 410),
    },
)
def get_card(
    model_id: str,
    session: SessionDep,
    services: ServicesDep,
    caller: MayAudit,
    query: Annotated[CardQuery, Query()],
) -> Response:
    """Intended use, training, the audited clips, every figure with its interval, noise beside the
    attack, and what speaks against relying on them. Where the evidence is invalid, the card begins
    with that, and the metadata block has no figures."""
    text = service.write(session, services.storage, model_id, query.audit, owner=caller.owner)
    return Response(text, media_type=f"{MARKDOWN}; charset=utf-8")

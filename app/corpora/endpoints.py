"""Corpora over REST."""

import asyncio
import threading
from typing import Annotated, Any, BinaryIO, Final

import anyio.to_thread
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from app.access.auth import Caller, may
from app.access.keys.scopes import Scope
from app.access.quotas import ConcurrencyLimit
from app.corpora import service, tables
from app.corpora.schemas import Corpus, CorpusRequest, SkippedFile
from app.errors import ClientGone
from app.http.examples import read_examples
from app.http.forms import ANY_SIZE, multipart, no_others, the_file, the_request
from app.http.headers import answer, location
from app.http.idempotency import NoIdempotencyKey
from app.http.problems import problems
from app.http.queries import NoQuery, PageQuery
from app.jobs.services import Services, ServicesDep
from app.persistence.database import SessionDep
from app.persistence.pages import newest_first
from app.schemas import Page, Schema

router = APIRouter(prefix="/v1/corpora", tags=["corpora"])

MayUseCorpora = Annotated[Caller, Depends(may(Scope.AUDIT, Scope.TRAIN))]

# An import keeps all cores busy. A second one, of another key, may upload meanwhile, or at worst
# share the cores.
IMPORTS: Final = ConcurrencyLimit(
    2, "corpora are being imported", code="imports_busy", retry_after=15
)

FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "request"],
                    "additionalProperties": False,
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "A zip of WAV, FLAC and AIFF files, with an `index.csv`"
                            " (path, speaker, emotion; gender, sentence, split if known) or with"
                            " the file names of a known corpus.",
                        },
                        "request": {"$ref": "#/components/schemas/CorpusRequest"},
                    },
                },
                "encoding": {"request": {"contentType": "application/json"}},
                "examples": read_examples(__file__, "forms"),
            }
        },
    }
}


@router.post(
    "",
    summary="Upload a corpus",
    status_code=201,
    max_body_size=ANY_SIZE,
    openapi_extra=FORM,
    responses={
        201: answer(location("/v1/corpora/corpus_01K9ZQ3W8M4V7T2X6B5N0C1DEF")),
        **problems(400, 408, 413, 415, 422, 429, 503),
    },
)
async def create_corpus(
    request: Request,
    response: Response,
    services: ServicesDep,
    caller: MayUseCorpora,
    _query: NoQuery,
    _key: NoIdempotencyKey,
) -> Corpus:
    """It is decoded, its features are computed and it is partitioned by speaker
    (unless `index.csv` gives a split) before the answer comes."""
    with IMPORTS.one(caller.owner):
        async with multipart(
            request,
            most_bytes=services.settings.max_corpus_bytes,
            most_files=2,  # the request may come as one
        ) as form:
            no_others(form, "file", "request")
            wanted = await the_request(form, CorpusRequest)
            corpus = await _import(request, services, the_file(form).file, wanted, caller.owner)
    response.headers["Location"] = f"{router.prefix}/{corpus.id}"
    return corpus


async def _import(
    request: Request, services: Services, upload: BinaryIO, wanted: CorpusRequest, owner: str
) -> Corpus:
    """Import in a thread. While it unpacks and decodes, it ends within a second of the client's
    going away or the request's cancellation; what is then being published is published."""
    stopped = threading.Event()

    def watch(_done: int, _total: int) -> None:
        if stopped.is_set():
            raise ClientGone

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        stopped.set()

    def work() -> Corpus:
        with services.sessions() as session:
            row = service.create(
                session,
                services.storage,
                services.settings,
                upload,
                wanted,
                owner=owner,
                watch=watch,
            )
            return Corpus.of(row)

    watcher = asyncio.ensure_future(gone())
    try:
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
    finally:
        stopped.set()
        watcher.cancel()


@router.get("", summary="List corpora", responses=problems(422))
def list_corpora(
    session: SessionDep, caller: MayUseCorpora, query: Annotated[PageQuery, Query()]
) -> Page[Corpus]:
    """Yours, newest first."""
    rows, has_more = newest_first(
        session, tables.Corpus, owner=caller.owner, after=query.after, limit=query.limit
    )
    return Page(data=[Corpus.of(row) for row in rows], has_more=has_more)


@router.get("/{corpus_id}", summary="One corpus", responses=problems(404))
def get_corpus(
    corpus_id: str, session: SessionDep, caller: MayUseCorpora, _query: NoQuery
) -> Corpus:
    """What it holds, by partition, emotion, speaker and gender, and which files were skipped."""
    return Corpus.of(service.get(session, corpus_id, owner=caller.owner))


class SkippedQuery(Schema):
    """A part of the list."""

    after: int = Field(
        default=0, ge=0, le=2**31 - 1, description="How many files stand on the pages before."
    )
    limit: int = Field(default=100, ge=1, le=1000, description="How many at most.")


@router.get(
    "/{corpus_id}/skipped",
    summary="The files of the archive that are not used",
    responses=problems(404, 422, 503),
)
def get_skipped(
    corpus_id: str,
    session: SessionDep,
    services: ServicesDep,
    caller: MayUseCorpora,
    query: Annotated[SkippedQuery, Query()],
) -> Page[SkippedFile]:
    """Each with the reason, in the order of the archive; clips that cannot be read come first."""
    corpus = service.get(session, corpus_id, owner=caller.owner)
    found = service.skipped(services.storage, corpus)
    end = query.after + query.limit
    data = [SkippedFile.model_validate(one) for one in found[query.after : end]]
    return Page(data=data, has_more=len(found) > end)


@router.delete(
    "/{corpus_id}", summary="Delete a corpus", status_code=204, responses=problems(404, 409)
)
def delete_corpus(
    corpus_id: str,
    session: SessionDep,
    services: ServicesDep,
    caller: MayUseCorpora,
    _query: NoQuery,
) -> Response:
    """Delete a corpus that no unfinished job uses. Results and models made with it stay."""
    service.delete(session, services.storage, corpus_id, owner=caller.owner)
    return Response(status_code=204)

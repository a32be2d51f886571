"""The replay bundle of an audit: what goes into it, and where it is found."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from sqlalchemy.orm import Session

from app.audits import files
from app.audits import service as audits
from app.audits.report import CorpusClips, Report
from app.corpora import service as corpora
from app.corpora.importing import audio_file
from app.errors import Conflict, Gone, NotFound, ServalError
from app.jobs.services import Services
from app.jobs.tables import Job
from app.registry import service as registry
from app.replay import names
from app.replay.making import Bundle, Piece, signed
from app.replay.names import clip_file
from app.replay.schemas import BundleQuery, ClipUsed, Materials
from app.reports import json as json_report
from app.reports.material import Material
from app.signing.key_store import KeyStore
from models.checkpoint import CONFIG, WEIGHTS
from models.corpus.manifest import CorpusError

README: Final = """An audit of a speech-emotion-recognition model by Serval, to be run again.

    serval verify FILE                     has a byte changed? who signed it?
    serval replay FILE                     does it come to the same counts?
    serval replay FILE --corpus FOLDER     where the recordings are not in it
    serval replay FILE --model FOLDER      where the models' files are not

request.json      what was asked for, with every default and the seed
materials.json    models and clips by their SHA-256; how many were scored together
rows.jsonl        what the model says of each clip, one a line
report.json       the result, and the versions of what computed it
models/           the files of the models, in the order of materials.json
clips/            the recordings, by the index of their rows
artifacts/        the sounds that the audit kept; report.json says what each is
signature.json    the SHA-256 of each file above, signed; it holds for this zip as it is
"""


def bundle(
    session: Session, services: Services, audit_id: str, query: BundleQuery, *, owner: str
) -> Bundle:
    """The bundle of a finished audit, measured and signed.

    Raises:
        NotFound, Conflict: as `app.audits.service.findings`; Conflict also if it was made before
            there were bundles (code ``no_materials``), or is too large for one.
        Gone: a model (``model_gone``) or recordings (``audio_gone``) that are to go in went.
        ServalError, OSError: the key cannot be had.
    """
    job, folder = audits.findings(session, services.storage, audit_id, owner=owner)
    materials = _materials(folder, audit_id)
    report = audits.report(folder, job)
    pieces = [
        Piece.of(names.README, README.encode()),
        Piece.of(names.REQUEST, _json(report.request)),
        Piece.of(names.MATERIALS, folder / files.MATERIALS),
        Piece.of(names.ROWS, folder / files.ROWS),
        Piece.of(names.REPORT, json_report.write(Material(report, folder, ""))),
    ]
    if query.model == "files":
        pieces += _models(session, services, materials, owner)
    if query.audio:
        pieces += _recordings(session, services, job, report, materials)
        pieces += _artifacts(folder, job)
    store = KeyStore.of(services.storage, services.settings)
    return signed(store.current(), audit_id, pieces)


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"


def _materials(folder: Path, audit_id: str) -> Materials:
    try:
        return Materials.model_validate_json((folder / files.MATERIALS).read_bytes())
    except FileNotFoundError:
        raise Conflict(
            f"{audit_id} was made by a version of Serval that kept no hashes of its clips, so"
            " nobody could say that a replay is of the same. Audit once more: POST its `input`.",
            code="no_materials",
        ) from None
    except ValidationError as error:
        raise ServalError(f"The files of {audit_id} are damaged: {files.MATERIALS}.") from error


def _models(
    session: Session, services: Services, materials: Materials, owner: str
) -> Iterator[Piece]:
    for number, model in enumerate(materials.models):
        for name, sha256 in ((CONFIG, model.config_sha256), (WEIGHTS, model.weights_sha256)):
            try:
                path = registry.file(session, services.storage, model.id, name, owner=owner)
                piece = Piece.of(names.model_file(number, name), path)
            except (NotFound, FileNotFoundError) as error:
                raise _model_gone(model.id, "was deleted") from error
            if piece.sha256 != sha256:
                raise _model_gone(model.id, "is another one now")
            yield piece


def _model_gone(model: str, why: str) -> Gone:
    return Gone(
        f"The model {model} {why} since the audit. Ask for ?model=hash: whoever replays the bundle"
        " gives the model's files then.",
        code="model_gone",
    )


def _recordings(
    session: Session, services: Services, job: Job, report: Report, materials: Materials
) -> Iterator[Piece]:
    find = _finder(session, services, job, report)
    for clip in materials.clips:
        if clip.sha256 is None:
            raise _audio_gone("The audit had no recordings, log-mels alone")
        path = find(clip)
        try:
            piece = None if path is None else Piece.of(clip_file(clip.index, path.suffix), path)
        except FileNotFoundError:
            piece = None
        if piece is None or piece.sha256 != clip.sha256:
            raise _audio_gone(f"Recordings of the audit were removed, clip {clip.index} among them")
        yield piece


def _finder(
    session: Session, services: Services, job: Job, report: Report
) -> Callable[[ClipUsed], Path | None]:
    """Tells where a recording lies: an uploaded one by its index, one of a corpus by its name."""
    storage = services.storage
    if not isinstance(report.clips, CorpusClips):
        uploads = files.inputs_dir(storage, job.id)
        return lambda clip: files.input_path(uploads, clip.index)
    try:
        corpus = corpora.get(session, report.clips.corpus, owner=job.owner)
        folder = storage.published(storage.corpus_dir(corpus.id))
        manifest = corpora.read_manifest(folder)
    except (NotFound, CorpusError, OSError) as error:
        raise _audio_gone("The corpus of the audit was deleted") from error
    paths = {clip.path: audio_file(folder, number, clip) for number, clip in enumerate(manifest)}
    return lambda clip: paths.get(clip.clip)


def _audio_gone(why: str) -> Gone:
    return Gone(
        f"{why}. Leave audio out: the bundle has the hashes of the clips, and whoever replays it"
        " gives the recordings (serval replay BUNDLE --corpus FOLDER).",
        code="audio_gone",
    )


def _artifacts(folder: Path, job: Job) -> Iterator[Piece]:
    """The recordings that the audit made; of other artifacts the report has the hashes."""
    for one in files.read_artifacts(folder):
        if files.is_audio(one.name):
            _, path = audits.artifact(folder, one.name, job)
            try:
                yield Piece.of(names.artifact_file(one.name), path)
            except FileNotFoundError as error:
                raise _audio_gone("Recordings of the audit were removed") from error

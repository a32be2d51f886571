"""The replay bundle of an audit: what goes into it, and where it is found."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
from app.replay.making import Bundle, Content, Piece, signed
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


@dataclass(frozen=True)
class Wanted:
    """A file that is to go into a bundle.

    Attributes:
        sha256: that it must have; None for any.
        gone: what is told if it went, or is another one now; None if neither may be.
    """

    name: str
    content: Content
    sha256: str | None = None
    gone: Gone | None = None

    def measured(self) -> Piece:
        """The file, read once.

        Raises:
            Gone: see there.
            OSError: it cannot be read.
        """
        try:
            piece = Piece.of(self.name, self.content)
        except FileNotFoundError:
            if self.gone is None:
                raise
            raise self.gone from None
        if self.gone is not None and self.sha256 not in {None, piece.sha256}:
            raise self.gone
        return piece


def bundle(
    session: Session, services: Services, audit_id: str, query: BundleQuery, *, owner: str
) -> Bundle:
    """The bundle of a finished audit, measured and signed. No connection is held meanwhile.

    Raises:
        NotFound, Conflict: as `app.audits.service.findings`; Conflict also if it was made before
            there were bundles (code ``no_materials``), asked a detector (``detector_asked``), or is
            too large for one.
        Gone: a model (``model_gone``) or recordings (``audio_gone``) that are to go in went.
        ServalError, OSError: the key cannot be had.
    """
    job, folder = audits.findings(session, services.storage, audit_id, owner=owner)
    materials = _materials(folder, audit_id)
    report = audits.report(folder, job)
    if report.request.get("detector"):
        raise Conflict(
            f"{audit_id} asked the model's detector, whose files are no part of a bundle: nobody"
            " could run it again. Audit without detector for one that can be.",
            code="detector_asked",
        )
    wanted = [
        Wanted(names.README, README.encode()),
        Wanted(names.REQUEST, _json(report.request)),
        Wanted(names.MATERIALS, folder / files.MATERIALS),
        Wanted(names.ROWS, folder / files.ROWS),
        Wanted(names.REPORT, json_report.write(Material(report, folder, ""))),
    ]
    if query.model == "files":
        wanted += _models(session, services, materials, owner)
    if query.audio:
        wanted += _recordings(session, services, job, report, materials)
        wanted += _artifacts(folder, job)
    session.rollback()
    pieces = [one.measured() for one in wanted]
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
) -> Iterator[Wanted]:
    for number, model in enumerate(materials.models):
        for name, sha256 in ((CONFIG, model.config_sha256), (WEIGHTS, model.weights_sha256)):
            gone = _model_gone(model.id)
            try:
                path = registry.file(session, services.storage, model.id, name, owner=owner)
            except NotFound:
                raise gone from None
            yield Wanted(names.model_file(number, name), path, sha256, gone)


def _model_gone(model: str) -> Gone:
    return Gone(
        f"The model {model} was deleted, or is another one, since the audit. Ask for ?model=hash:"
        " whoever replays the bundle gives the model's files then.",
        code="model_gone",
    )


def _recordings(
    session: Session, services: Services, job: Job, report: Report, materials: Materials
) -> Iterator[Wanted]:
    find = _finder(session, services, job, report)
    for clip in materials.clips:
        gone = _audio_gone(f"Recordings of the audit were removed, clip {clip.index} among them")
        if clip.sha256 is None:
            raise _audio_gone("The audit had no recordings, log-mels alone")
        path = find(clip)
        if path is None:
            raise gone
        yield Wanted(clip_file(clip.index, path.suffix), path, clip.sha256, gone)


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


def _artifacts(folder: Path, job: Job) -> Iterator[Wanted]:
    """The recordings that the audit made; of other artifacts the report has the hashes."""
    gone = _audio_gone("Recordings of the audit were removed")
    for one in files.read_artifacts(folder):
        if files.is_audio(one.name):
            _, path = audits.artifact(folder, one.name, job)
            yield Wanted(names.artifact_file(one.name), path, one.sha256, gone)

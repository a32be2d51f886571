"""A bundle from outside: read, and held against its signature, before anything of it is used."""

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError

from app.audits.report import Report
from app.audits.schemas import AnyAuditRequest, parse_request
from app.replay import names
from app.replay.container import Broken, Container, crc32
from app.replay.schemas import Materials
from app.signing.schemas import Part
from app.signing.signatures import MOST_BYTES, Fault, Verdict, verify
from models.audit import AuditRow

M = TypeVar("M", bound=BaseModel)

MOST_JSON_BYTES: Final = 256 * 1024 * 1024
LONGEST_ROW_BYTES: Final = 16 * 1024 * 1024
"""One of 65 strengths and 1,000 labels takes two MiB."""

_Json: Final = TypeAdapter(dict[str, JsonValue])


class Unusable(Exception):
    """The bundle cannot be replayed. The message names the part, and what would help."""


def verify_bundle(path: Path, known: Collection[str] = ()) -> Verdict:
    """Whether each byte of a bundle is as it was signed.

    Args:
        path: hostile bytes are fine.
        known: fingerprints of keys that the caller knows.

    Raises:
        OSError: it cannot be read.
    """
    try:
        container = Container(path)
        document = container.read(names.SIGNATURE, MOST_BYTES)
    except Broken as broken:
        return Verdict(None, (Fault(broken.part, broken.why),), None)
    faults: list[Fault] = []
    parts = [
        _measured(container, entry.name, faults)
        for entry in container.entries
        if entry.name != names.SIGNATURE
    ]
    _measured(container, names.SIGNATURE, faults)
    verdict = verify(document, parts, known)
    told = {fault.part for fault in verdict.faults}
    more = [fault for fault in faults if fault.part not in told]
    return Verdict(verdict.signature, (*verdict.faults, *more), verdict.trusted)


def _measured(container: Container, name: str, faults: list[Fault]) -> Part:
    digest, checksum = hashlib.sha256(), 0
    for block in container.blocks(name):
        digest.update(block)
        checksum = crc32(block, checksum)
    try:
        container.check_crc(name, checksum)
    except Broken as broken:
        faults.append(Fault(broken.part, broken.why))
    return Part(name=name, bytes=container.sizes[name], sha256=digest.hexdigest())


@dataclass(frozen=True)
class OpenBundle:
    """A bundle of which no byte has changed.

    Attributes:
        request: what was asked for.
        materials: what it was done with.
        report: what was found.
        verdict: who signed it.
    """

    container: Container
    request: AnyAuditRequest
    materials: Materials
    report: Report
    verdict: Verdict

    def rows(self) -> Iterator[AuditRow]:
        """What the model said of each clip.

        Raises:
            Unusable: a row cannot be read.
        """
        try:
            for line in self.container.lines(names.ROWS, LONGEST_ROW_BYTES):
                yield AuditRow.model_validate_json(line)
        except (Broken, ValidationError) as error:
            raise _bad(names.ROWS, error) from error


def open_bundle(path: Path, known: Collection[str] = ()) -> OpenBundle:
    """Read it.

    Raises:
        Unusable: a byte has changed, it is signed by another key than one of the ``known``, or it
            is of a version that this one does not understand.
        OSError: it cannot be read.
    """
    verdict = verify_bundle(path, known)
    if verdict.faults:
        told = "; ".join(f"{one.part} {one.why}" for one in verdict.faults[:3])
        raise Unusable(f"The bundle is not as it was signed: {told}. Get it once more.")
    if verdict.trusted is False and verdict.signature is not None:
        raise Unusable(
            f"The bundle is signed by key {verdict.signature.key}, which is none of those that you"
            " named."
        )
    container = Container(path)
    report = _read(container, names.REPORT, Report)
    materials = _read(container, names.MATERIALS, Materials)
    request = _request(container)
    if _Json.validate_python(report.request) != request:
        raise Unusable(f"{names.REQUEST} is not the request of {names.REPORT}.")
    if verdict.signature is not None and report.audit != verdict.signature.audit:
        raise Unusable(f"{names.REPORT} is of another audit than {names.SIGNATURE} says.")
    if report.model.sha256 != materials.models[0].weights_sha256:
        raise Unusable(f"{names.MATERIALS} has another model than {names.REPORT}.")
    try:
        asked = parse_request(dict(request))
    except ValidationError as error:
        raise _bad(names.REQUEST, error) from error
    return OpenBundle(container, asked, materials, report, verdict)


def _request(container: Container) -> dict[str, JsonValue]:
    try:
        return _Json.validate_json(container.read(names.REQUEST, MOST_JSON_BYTES))
    except (Broken, ValidationError) as error:
        raise _bad(names.REQUEST, error) from error


def _read(container: Container, name: str, schema: type[M]) -> M:
    try:
        return schema.model_validate_json(container.read(name, MOST_JSON_BYTES))
    except (Broken, ValidationError) as error:
        raise _bad(name, error) from error


def _bad(name: str, error: Broken | ValidationError) -> Unusable:
    if isinstance(error, Broken):
        return Unusable(f"{error.part} {error.why}.")
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    return Unusable(
        f"{name} cannot be read: {where}: {first['msg']}. Replay it with the version of Serval that"
        " made it (report.json: environment.serval), or a newer one."
    )

"""The rows of an audit as JSON pages, NDJSON or CSV, and which of them a client asked for."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from app.audits.rows import read_lines, read_rows
from app.errors import NotAcceptable, shown
from app.http.negotiation import best
from models.audit.result import AttackOfResult

ROWS: Final = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv",
}
# A row of 65 strengths and 1,000 labels takes two MiB.
PAGE_BYTES: Final = 8 * 1024 * 1024
FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
SIZES: Final = ("linf", "l2", "snr_db", "band_db")
"""Of a distortion, which a corruption has not."""
CHUNK_CHARACTERS: Final = 256 * 1024

K = TypeVar("K", bound=str)


def chosen(accept: str | None, offers: Mapping[K, str], *, wanted: str | None = None) -> K:
    """The ``wanted`` offer; else the one that the Accept header likes best.

    Raises:
        NotAcceptable: there is no such offer, or the header allows none.
    """
    if wanted is not None:
        for name in offers:
            if name == wanted:
                return name
        raise NotAcceptable(f"format={shown(wanted)} is not there: ask for {', '.join(offers)}.")
    liked = best(accept, offers)
    if liked is not None:
        return liked
    raise NotAcceptable(
        f"Accept: {shown(accept)} allows nothing that there is. Accept {', '.join(offers.values())}"
        f", or say ?format={'|'.join(offers)}."
    )


def page(path: Path, after: int | None, limit: int) -> bytes:
    """The rows behind index ``after``: at most ``limit``, and at most `PAGE_BYTES` or one row.

    They are written as they lie there, which is JSON already: parsed they would take ten times the
    room.
    """
    rows: list[bytes] = []
    room, has_more = PAGE_BYTES, False
    for line in read_lines(path, 0 if after is None else after + 1):
        room -= len(line)
        has_more = len(rows) == limit or (bool(rows) and room < 0)
        if has_more:
            break
        rows.append(line)
    more = b"true" if has_more else b"false"
    return b'{"object":"list","data":[%b],"has_more":%b}' % (b",".join(rows), more)


def csv_lines(path: Path, attacks: Sequence[AttackOfResult]) -> Iterator[str]:
    """One line for each clip, attack and strength: tidy, as data frames want it.

    Args:
        path: of the rows.
        attacks: as in the result. The parameters of all of them are columns, named
            ``attack:NAME``; a cell is empty where an attack has no such parameter.

    Text that a spreadsheet would compute has an apostrophe before it.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    parameters = sorted({name for attack in attacks for name in attack.parameters})
    for number, row in enumerate(read_rows(path)):
        classes = list(row["clean"]["scores"])
        if number == 0:
            writer.writerow(_head(parameters, classes))
        for line in _lines(row, attacks, parameters, classes):
            writer.writerow(map(unevaluated, line))
            if buffer.tell() >= CHUNK_CHARACTERS:
                yield buffer.getvalue()
                buffer.seek(0)
                buffer.truncate()
    yield buffer.getvalue()


def _head(parameters: Sequence[str], classes: Sequence[str]) -> list[str]:
    return [
        "index", "clip", "label", "speaker", "gender", "group", "duration_s", "warnings",
        "clean",
        "attack", "type", "unit", "strength", "adversarial", "success", "no_direction",
        *SIZES, "forwards", "backwards", "queries",
        "audio", "audio_snr_db", "minimum", "details",
        *(f"attack:{name}" for name in parameters),
        *(f"clean:{name}" for name in classes),
        *(f"adversarial:{name}" for name in classes),
    ]  # fmt: skip


def _lines(
    row: dict[str, Any],
    attacks: Sequence[AttackOfResult],
    parameters: Sequence[str],
    classes: Sequence[str],
) -> Iterator[list[Any]]:
    clean = row["clean"]
    smallest = {one["attack"]: one["strength"] for one in row["minimum"]}
    for after in row["attacked"]:
        attack = attacks[after["attack"]]
        audio = after["audio"] or {"label": "", "snr_db": ""}
        size, cost = after["distortion"] or dict.fromkeys(SIZES), after["cost"]
        yield [
            row["index"], row["clip"], row["label"], row["speaker"], row["gender"],
            row.get("group"), row["duration_s"], _codes(row), clean["label"],
            attack.index, attack.type, attack.threat.unit, after["strength"], after["label"],
            _truth(after["success"]), _truth(after["no_direction"]),
            *(size[name] for name in SIZES),
            cost["forwards"], cost["backwards"], cost["queries"],
            audio["label"], audio["snr_db"], smallest.get(attack.index),
            json.dumps(after["details"]) if after["details"] else "",
            *(_cell(attack.parameters.get(name, "")) for name in parameters),
            *(clean["scores"][name] for name in classes),
            *(after["scores"][name] for name in classes),
        ]  # fmt: skip


def _codes(row: dict[str, Any]) -> str:
    """Of a row's warnings; rows of earlier audits have none that are known."""
    codes = row.get("warnings")
    return "unknown" if codes is None else " ".join(codes)


def unevaluated(value: Any) -> Any:
    """A cell that a spreadsheet shows and does not compute: names come from others' corpora.

    A spreadsheet takes text that begins so for a formula, which may send the other cells away, and
    with an apostrophe before it for text (OWASP, "CSV injection").
    """
    if not isinstance(value, str) or not value.startswith(FORMULAS):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list | bool) else value


def _truth(value: bool | None) -> str:
    return "" if value is None else str(value).lower()

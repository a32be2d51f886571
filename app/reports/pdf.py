"""A report as a PDF: the sections of the page, set by typst, with the evidence inside.

It is PDF/UA-1 and PDF/A-3a: a screen reader reads it, and the report's JSON travels in it as an
attachment, with the rows if they are not too many. The list of clips and the requests that settle
a check are on the page alone. The same report gives the same bytes.
"""

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any, Final

from app.audits import files
from app.audits.exhibits import Exhibit
from app.reports import charts, commands, definitions, facts, tables, words
from app.reports.charts import Chart, Table
from app.reports.charts.chart import WIDE
from app.reports.exhibits import ExhibitShown, shown
from app.reports.material import Material
from app.reports.threats import explained, varied
from app.reports.typesetting import typeset
from app.reports.verdict import Verdict, verdict
from models.audit.checks import CheckResult

MOST_ROWS_BYTES: Final = 4 * 1024 * 1024
"""Of the file of rows, to be attached: some 2,000 clips under five strengths."""
MOST_LINES: Final = 60
"""Of a chart's table: groups may be hundreds of speakers."""
MOST_RAISED: Final = 5
"""Of checks on the first page; all of them follow."""

MARKS: Final = {"raised": "▲", "not_run": "○", "clear": "✓"}
"""Of a check's status."""
SHOWABLE: Final = {ord("✕"): "×"}
"""A mark that the typesetter's fonts do not have, and what it has."""

_WIDTH: Final = re.compile(r'<svg [^>]*width="([0-9.]+)"')

Part = Mapping[str, Any]


def write(material: Material) -> bytes:
    """The file.

    Raises:
        Unavailable: it is too large to be typeset.
    """
    with material.scratch() as folder:
        template = resources.files("app.reports").joinpath("templates", "report.typ")
        (folder / "report.typ").write_bytes(template.read_bytes())
        (folder / "content.json").write_text(json.dumps(content(material, folder)))
        return typeset(folder, _moment(material.report.created_at), material.fonts)


def content(material: Material, folder: Path) -> dict[str, Any]:
    """What the template shows; the files that it names are written to the folder."""
    found: dict[str, Any] = _visible(_Document(material, folder).content())
    return found


def _moment(text: str) -> datetime:
    """When the report was made; the beginning of time of one that does not say so legibly."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


class _Document:
    """The content of a report, and the files that it names.

    Args:
        folder: where these go.
    """

    def __init__(self, material: Material, folder: Path) -> None:
        self._material = material
        self._report = material.report
        self._result = material.report.result
        self._folder = folder

    def content(self) -> dict[str, Any]:
        """All of it."""
        report, judged = self._report, verdict(self._result)
        attachments, note = self._attachments()
        return {
            "title": f"{report.model.name} under attack",
            "author": f"Serval {report.environment.serval}",
            "date": _date(_moment(report.created_at)),
            "subtitle": f"{report.audit} · {words.day(report.created_at)} · report"
            f" {report.schema_version}",
            "footer": f"{report.model.name} under attack · {report.audit}",
            "mark": judged.mark.translate(SHOWABLE),
            "evidence": judged.evidence,
            "counted": judged.counted,
            "meaning": f"{_sentence(judged.meaning)}.",
            "finding": judged.finding,
            "first": list(self._first(judged)),
            "sections": [
                {"title": title, "parts": parts}
                for title, found in self._sections(judged)
                if (parts := list(found))
            ]
            + [{"title": "What is attached", "parts": [_text(note)]}],
            "attachments": attachments,
        }

    def _first(self, judged: Verdict) -> Iterator[Part]:
        """What stands below the verdict on the first page."""
        yield from self._charts(charts.curves(self._result)[:1], tabled=False)
        if judged.raised:
            yield _heading("What speaks against relying on this", level=2)
            yield from map(_check, judged.raised[:MOST_RAISED])
            more = len(judged.raised) - MOST_RAISED
            if more > 0:
                yield _note(f"{words.count(more, 'more check')} raised, see Checks.")

    def _sections(self, judged: Verdict) -> Iterator[tuple[str, Iterable[Part]]]:
        report, result = self._report, self._result
        yield "What was audited", [_facts(facts.facts(report))]
        yield "What the attacker may do", _threats(self._material)
        yield "Clean beside attacked", _tables(tables.attacked(result))
        yield "More curves", self._charts(charts.curves(result)[1:], tabled=False)
        yield "Broken clips", map(self._exhibit, shown(self._material), report.exhibits)
        yield "Flips and recalls", self._flips()
        yield "Gaps between groups", self._gaps()
        yield (
            "Smallest strengths",
            [
                *_tables([tables.smallest(result)]),
                *self._charts(charts.survival(result), tabled=False),
            ],
        )
        yield "Corruptions", _tables([tables.corrupted(result)])
        yield "Calibration", _tables([tables.calibration(result)])
        yield "Hardening", [_facts(told)] if (told := facts.hardened(report)) else []
        yield "Before and after hardening", self._compared()
        yield "Warnings", [_list(report.warnings)] if report.warnings else []
        yield "Checks", map(_check, [*judged.raised, *judged.not_run, *judged.clear])
        yield "How to replay", _replay(self._material)
        yield "How to read this", _definitions(self._material)
        yield "Files of the audit", _tables([tables.artifacts(report.artifacts)])

    def _compared(self) -> Iterator[Part]:
        found = self._result.comparison
        if found is not None:
            yield _list([one.sentence for one in found.ranking])
            yield from _tables(tables.compared(found))

    def _flips(self) -> Iterator[Part]:
        yield from self._charts(charts.flip_matrices(self._result))
        yield from self._charts(charts.confusion(self._result))
        recalls = charts.recalls(self._result, self._report.groups)
        yield from self._charts([recalls] if recalls is not None else [])

    def _gaps(self) -> Iterator[Part]:
        found = charts.gaps(self._result)
        if found:
            yield _text(
                "A gap is the worst group minus the best. The two were picked for being far apart,"
                " so its interval is at a level that holds for all pairs of groups together."
            )
        yield from self._charts(found)
        yield from self._charts(charts.groups(self._result, self._report.groups))

    def _charts(self, made: Iterable[Chart], *, tabled: bool = True) -> Iterator[Part]:
        """Pictures with their tables, or without those where the same figures stand elsewhere."""
        for one in made:
            name = f"chart-{one.name}.svg"
            (self._folder / name).write_text(str(one.svg), encoding="utf-8")
            told = {"title": one.title, "description": one.description, "file": name}
            size = _WIDTH.search(one.svg)
            pixels = WIDE if size is None else float(size[1])
            table = _table(_short(one.table)) | {"caption": ""} if tabled else None
            yield {"kind": "chart", "chart": told | {"pixels": pixels, "table": table}}

    def _exhibit(self, one: ExhibitShown, exhibit: Exhibit) -> Part:
        names = exhibit.pictures.model_dump().values()
        views = [
            {
                "name": view.name,
                "alternative": view.alternative,
                "said": list(view.said),
                "file": self._picture(name),
            }
            for view, name in zip(one.views, names, strict=True)
        ]
        told = {"title": one.title, "facts": f"{_sentence(one.facts)}.", "note": one.note}
        return {"kind": "exhibit", "exhibit": told | {"views": views}}

    def _picture(self, name: str) -> str:
        """The name of an artifact, copied; "" where it is not there any more, or is no picture."""
        if files.is_artifact(name) is None or not name.endswith(".png"):
            return ""
        try:
            shutil.copyfile(self._material.folder / files.ARTIFACTS / name, self._folder / name)
        except FileNotFoundError:
            return ""
        return name

    def _attachments(self) -> tuple[list[dict[str, str]], str]:
        """What travels inside the file, and a sentence of it."""
        json_name, rows_name = "report.json", files.ROWS
        (self._folder / json_name).write_bytes(self._report.model_dump_json(indent=1).encode())
        attached = [_attachment(json_name, "application/json", "data", "This report as JSON")]
        rows = self._material.folder / files.ROWS
        size = rows.stat().st_size if rows.is_file() else 0
        if 0 < size <= MOST_ROWS_BYTES:
            shutil.copyfile(rows, self._folder / rows_name)
            attached.append(
                _attachment(rows_name, "application/x-ndjson", "source", "A row for each clip")
            )
            return attached, (
                f"{json_name} is this report for programs, and {rows_name} the evidence: a row for"
                " each clip, of which all figures are added up."
            )
        return attached, (
            f"{json_name} is this report for programs. The rows of the clips are"
            f" {size / 2**20:,.1f} MiB and left out; they are at"
            f" {self._material.base_url}v1/audits/{self._report.audit}/results?format=ndjson."
        )


def _attachment(name: str, media_type: str, relationship: str, description: str) -> dict[str, str]:
    return {
        "file": name,
        "media_type": media_type,
        "relationship": relationship,
        "description": description,
    }


def _threats(material: Material) -> Iterator[Part]:
    for one in explained(material.report):
        yield _heading(_sentence(one.name))
        yield _text(one.allowed)
        if one.sizes:
            yield _list(one.sizes)
    yield _note(varied(material.report.result.scale))


def _replay(material: Material) -> Iterator[Part]:
    yield _text(
        "The same request gives the same counts on a CPU, with the versions, the weights and the"
        " clips that stand under “What was audited”. Clips without a corpus have to be uploaded"
        " again."
    )
    yield {"kind": "code", "text": _command(material)}
    yield _text("Elsewhere, without a service, from the replay bundle and the recordings:")
    yield {"kind": "code", "text": commands.replay(material.report.audit, material.base_url)}
    yield _note(material.report.about_signature)


def _command(material: Material) -> str:
    """The audit once more, with a line for each attack: paper is short."""
    return commands.submit(material.report.request, material.base_url, commands.lines)


def _definitions(material: Material) -> Iterator[Part]:
    yield _text(
        "Every figure stands with its interval at 95 %, n clips and their speakers. y is a clip's"
        " emotion, ŷ the clean prediction, ŷ′ that under the attack, p and p′ the scores."
    )
    yield _facts(
        (one.name, f"{one.definition} {one.formula}. {one.source}")
        for one in definitions.definitions()
    )
    methods = definitions.methods(material.report.result)
    if methods:
        yield _heading("Intervals")
        yield _facts(methods)


def _tables(made: Iterable[Table | None]) -> list[Part]:
    return [{"kind": "table", "table": _table(one)} for one in made if one is not None]


def _table(one: Table) -> dict[str, Any]:
    return {
        "caption": one.caption,
        "columns": list(one.columns),
        "rows": [list(row) for row in one.rows],
        "note": one.note,
    }


def _short(table: Table) -> Table:
    """A table without what is too much for paper."""
    more = len(table.rows) - MOST_LINES
    if more <= 0:
        return table
    note = f"{table.note} {more} more rows stand in the attached report.json.".strip()
    return Table(table.caption, table.columns, table.rows[:MOST_LINES], note)


def _check(one: CheckResult) -> Part:
    told = {
        "mark": MARKS[one.status],
        "title": one.title,
        "severity": one.severity,
        "status": one.status.replace("_", " "),
        "said": one.measured or one.reason or "",
        "remedy": "" if one.remedy is None else one.remedy.text,
    }
    return {"kind": "check", "check": told}


def _text(text: str) -> Part:
    return {"kind": "text", "text": text}


def _note(text: str) -> Part:
    return {"kind": "note", "text": text}


def _heading(text: str, level: int = 3) -> Part:
    return {"kind": "heading", "text": text, "level": level}


def _list(items: Sequence[str]) -> Part:
    return {"kind": "list", "items": list(items)}


def _facts(rows: Iterable[tuple[str, str]]) -> Part:
    return {"kind": "facts", "rows": [list(row) for row in rows]}


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _date(moment: datetime) -> dict[str, int]:
    """As typst takes it, in UTC."""
    names = ("year", "month", "day", "hour", "minute", "second")
    return {name: getattr(moment.astimezone(UTC), name) for name in names}


def _visible(value: Any) -> Any:
    """Content without letters that are not seen, but turn or hide others; see `words.legible`."""
    if isinstance(value, str):
        lines = value.split("\n")
        return "\n".join(words.legible(line, len(line) * 10 + 1) for line in lines)
    if isinstance(value, dict):
        return {name: _visible(one) for name, one in value.items()}
    return [_visible(one) for one in value] if isinstance(value, list) else value

"""A report as one file: a page that opens without a network, and that asks no host for anything.

Its style and script are inline, and a Content-Security-Policy in the file names both by their
hashes and allows nothing else. All text is escaped by the templates, names of clips and speakers
among it.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from app.audits import files
from app.audits.remedies import patched
from app.audits.rows import read_rows
from app.reports import charts, commands, definitions, facts, tables, words
from app.reports.charts.curves import clean_figure
from app.reports.clips import worst_clips
from app.reports.exhibits import shown
from app.reports.material import Material
from app.reports.threats import explained, varied
from app.reports.verdict import verdict


def _asset(name: str) -> str:
    return resources.files("app.reports").joinpath("assets", name).read_text(encoding="utf-8")


STYLE: Final = _asset("report.css")
SCRIPT: Final = _asset("report.js")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


POLICY: Final = (
    f"default-src 'none'; style-src {_hash(STYLE)}; script-src {_hash(SCRIPT)};"
    " img-src data:; media-src data:; base-uri 'none'; form-action 'none'"
)
"""In the file. An image or a sound lies in it, too."""
SANDBOX: Final = f"sandbox allow-scripts; {POLICY}; frame-ancestors 'none'"
"""In the answer: shown from the service, the file has no part in its origin."""


@dataclass(frozen=True)
class Section:
    """A part of the page, written by the template of the same name.

    Attributes:
        count: of what is in it, for the list of sections.
    """

    id: str
    title: str
    count: int | None = None


def write(material: Material) -> bytes:
    """The file."""
    context = _context(material)
    return _environment().get_template("report.html").render(context).encode()


def _context(material: Material) -> dict[str, Any]:
    report = material.report
    result = report.result
    listed = worst_clips(read_rows(material.folder / files.ROWS), result.attacks)
    found: dict[str, Any] = {
        "report": report,
        "base_url": material.base_url,
        "policy": POLICY,
        "style": Markup(STYLE),  # noqa: S704 (a file of ours)
        "script": Markup(SCRIPT),  # noqa: S704
        "verdict": verdict(result),
        "exhibits": shown(material),
        "facts": facts.facts(report),
        "threats": explained(report),
        "scale": varied(result.scale),
        "clean": _clean(material),
        "attacked": tables.attacked(result),
        "curves": charts.curves(result),
        "flips": charts.flip_matrices(result),
        "confusions": charts.confusion(result),
        "recall": charts.recalls(result, report.groups),
        "gaps": charts.gaps(result),
        "groups": charts.groups(result, report.groups),
        "smallest": tables.smallest(result),
        "survivals": charts.survival(result),
        "corruptions": tables.corrupted(result),
        "calibration": tables.calibration(result),
        "hardening": facts.hardened(report),
        "compared": tables.compared(result.comparison),
        "clips": tables.clips(listed, result.n),
        "artifacts": tables.artifacts(report.artifacts),
        "definitions": definitions.definitions(),
        "methods": definitions.methods(result),
        "pretty": commands.pretty,
        "submit": partial(commands.submit, base_url=material.base_url),
        "replay": commands.replay(report.audit, material.base_url),
        "patched": partial(patched, report.request),
    }
    return found | {"sections": _sections(found)}


def _sections(found: Mapping[str, Any]) -> list[Section]:
    """Those that there is something in, in their order."""
    report = found["report"]
    told = [
        (found["verdict"].checks, Section("checks", "Checks", len(found["verdict"].checks))),
        (found["exhibits"], Section("exhibits", "Broken clips", len(found["exhibits"]))),
        (report.warnings, Section("warnings", "Warnings", len(report.warnings))),
        (True, Section("audited", "What was audited")),
        (found["threats"], Section("threats", "What the attacker may do")),
        (found["attacked"], Section("attacked", "Clean beside attacked")),
        (found["curves"][1:], Section("curves", "More curves", len(found["curves"]) - 1)),
        (found["flips"] or found["confusions"], Section("flips", "Flips and recalls")),
        (found["gaps"] or found["groups"], Section("gaps", "Gaps between groups")),
        (found["smallest"], Section("smallest", "Smallest strengths")),
        (found["corruptions"], Section("corruptions", "Corruptions")),
        (found["calibration"], Section("calibration", "Calibration")),
        (found["hardening"], Section("hardening", "Hardening")),
        (found["compared"], Section("compared", "Before and after hardening")),
        (True, Section("clips", "Clips", report.result.n)),
        (report.artifacts, Section("artifacts", "Files", len(report.artifacts))),
        (True, Section("replay", "How to replay")),
        (True, Section("definitions", "How to read this")),
    ]
    return [section for there, section in told if there]


def _clean(material: Material) -> str:
    """How well the model does on the clips as they are, in words."""
    result = material.report.result
    if result.clean.uar is None:
        return "no clip has a label, so the model's own predictions are what attacks change"
    figure = clean_figure(result)
    return f"UAR {words.with_interval(figure)}, {words.taken_of(figure)}"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("app.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    environment.filters |= {
        "lower_first": lambda text: text[:1].lower() + text[1:],
        "capitalize_first": lambda text: text[:1].upper() + text[1:],
        "counted": words.count,
        "day": words.day,
    }
    return environment


def _visible(value: object) -> object:
    """Text without letters that are not seen but turn or hide others; what is markup already stays
    as it is."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    if value.isascii() and value.replace("\n", " ").isprintable():
        return value
    return "\n".join(words.legible(line, len(line) * 10 + 1) for line in value.split("\n"))

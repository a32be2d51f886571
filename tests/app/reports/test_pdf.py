"""A report as a PDF: one file for people, with the evidence inside, the same bytes each time."""

import json
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from matplotlib import font_manager

from app.audits import files
from app.audits.exhibits import Exhibit, Heard, Views
from app.errors import Unavailable
from app.reports import pdf, typesetting
from app.reports.material import Material
from models.audit.checks import CheckResult, Evidence
from tests.app.reports.made import Made, made
from workers.audits.exhibit_pictures import VIEWS

URL = "https://serval.example/"
HOSTILE = (
    '#read("/etc/passwd")',
    "#panic()",
    "= heading",
    "<b>bold</b>",
    "*a* _b_ `c` $d$ @e",
    "\\u{41}",
    '"; DROP TABLE',
    '#import "@preview/cetz:0.1.0"',
    "a\x00b\x1b[31m",
    "\u202egnp.exe",
    "x" * 300,
)


@pytest.fixture
def audit() -> Made:
    return made(clips=12)


def material(audit: Made, folder: Path, **more: Any) -> Material:
    """What is written from an audit whose files lie in this folder."""
    (folder / files.ARTIFACTS).mkdir(exist_ok=True)
    (folder / files.ROWS).write_bytes(audit.lines)
    return Material(audit.report, folder, URL, **more)


def streams(content: bytes) -> Iterator[bytes]:
    """The streams of a PDF, inflated where they are deflated."""
    for found in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL):
        try:
            yield zlib.decompress(found[1])
        except zlib.error:
            yield found[1]


def attached(content: bytes) -> dict[str, bytes]:
    """What a PDF holds as JSON, by its beginning: the report, and the rows."""
    found = {}
    for stream in streams(content):
        if stream.startswith(b"{\n"):
            found["report.json"] = stream
        elif stream.startswith(b'{"index"'):
            found["rows.jsonl"] = stream
    return found


def exhibited(audit: Made, folder: Path, clip: str = "a.wav") -> None:
    """Give the report an exhibit with its pictures."""
    names = {view: files.exhibit_name("easiest", view, ".png") for view in VIEWS}
    (folder / files.ARTIFACTS).mkdir(exist_ok=True)
    for name in names.values():
        (folder / files.ARTIFACTS / name).write_bytes(_png())
    said = Heard(label="anger", score=0.9)
    audit.report.exhibits = [
        Exhibit(
            role="easiest", clip=clip, index=0, label="anger", speaker="1", attack=0,
            description="FGSM, ε = 0.02", strength=0.02, unit="sigma", broken=3, clean=said,
            attacked=said, resynthesised=None, noise=None, excerpt_s=(0, 1),
            pictures=Views(**names), pictured_s=(0, 1), gain_db=None, difference_gain_db=None,
            sounds=None, recordings=None,
        )
    ]  # fmt: skip


def _png() -> bytes:
    from matplotlib.figure import Figure

    from workers.audits.pictures import png

    return png(Figure(figsize=(1, 1)))


def content_of(found: Material, tmp_path: Path) -> dict[str, Any]:
    """The content that the template is given."""
    folder = tmp_path / "document"
    folder.mkdir()
    return pdf.content(found, folder)


class TestPdf:
    def test_is_pdf_ua_1_and_a_3a_and_tagged(self, audit: Made, tmp_path: Path) -> None:
        written = pdf.write(material(audit, tmp_path))
        assert written.startswith(b"%PDF-1.7")
        assert b"pdfuaid:part>1<" in written
        assert b"pdfaid:part>3<" in written
        assert b"pdfaid:conformance>A<" in written

    def test_has_the_same_bytes_twice(self, audit: Made, tmp_path: Path) -> None:
        found = material(audit, tmp_path)
        assert pdf.write(found) == pdf.write(found)

    def test_says_that_it_was_made_when_the_audit_was(self, audit: Made, tmp_path: Path) -> None:
        assert b"2026-11-27T22:30:54" in pdf.write(material(audit, tmp_path))

    def test_of_a_report_whose_time_cannot_be_read_there_is_one_too(
        self, audit: Made, tmp_path: Path
    ) -> None:
        audit.report.created_at = "yesterday"
        assert b"1970-01-01" in pdf.write(material(audit, tmp_path))

    def test_holds_the_report_and_the_rows(self, audit: Made, tmp_path: Path) -> None:
        found = attached(pdf.write(material(audit, tmp_path)))
        assert json.loads(found["report.json"]) == audit.report.model_dump(mode="json")
        assert found["rows.jsonl"] == audit.lines

    def test_leaves_too_many_rows_out_and_says_where_they_are(
        self, audit: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pdf, "MOST_ROWS_BYTES", 100)
        found = material(audit, tmp_path)
        assert "rows.jsonl" not in attached(pdf.write(found))
        told = json.dumps(content_of(found, tmp_path))
        assert f"left out; they are at {URL}v1/audits/{audit.report.audit}/results" in told

    def test_shows_the_pictures_of_exhibits(self, audit: Made, tmp_path: Path) -> None:
        before = pdf.write(material(audit, tmp_path))
        exhibited(audit, tmp_path)
        after = pdf.write(material(audit, tmp_path))
        pictures = [content.count(b"/Subtype/Image") for content in (before, after)]
        assert pictures[1] > pictures[0]

    def test_is_written_where_a_picture_is_gone(self, audit: Made, tmp_path: Path) -> None:
        exhibited(audit, tmp_path)
        for path in (tmp_path / files.ARTIFACTS).glob("*.png"):
            path.unlink()
        assert pdf.write(material(audit, tmp_path)).startswith(b"%PDF")

    def test_a_picture_is_an_artifact_and_no_other_file(self, audit: Made, tmp_path: Path) -> None:
        exhibited(audit, tmp_path)
        (tmp_path / "secret.png").write_bytes(_png())
        audit.report.exhibits[0].pictures.original = "../secret.png"
        told = content_of(material(audit, tmp_path), tmp_path)
        (section,) = [one for one in told["sections"] if one["title"] == "Broken clips"]
        first, second, _ = section["parts"][0]["exhibit"]["views"]
        assert (first["file"], second["file"]) == ("", "exhibit-easiest-adversarial.png")


class TestVerdict:
    @pytest.mark.parametrize("evidence", ["sound", "weak", "invalid"])
    def test_stands_first_with_the_raised_checks_and_its_mark(
        self, audit: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evidence: Evidence
    ) -> None:
        result = audit.report.result
        result.evidence, result.finding = evidence, "At ±0.02 σ UAR falls from .71 to .42."
        result.checks = [
            CheckResult(
                id=f"check-{n}", version=1, title=f"Check {n}", severity="weak", status=status,
                measured="34 clips", reason=None, remedy=None,
            )
            for n, status in enumerate(("raised",) * 7 + ("not_run", "clear"))
        ]  # fmt: skip
        told = set_as(material(audit, tmp_path), monkeypatch)
        assert told["evidence"] == evidence
        assert told["finding"] == "At ±0.02 σ UAR falls from .71 to .42."
        assert "fonts do not have" not in json.dumps(told)
        checks = [part["check"]["title"] for part in told["first"] if part["kind"] == "check"]
        assert checks == [f"Check {n}" for n in range(5)]
        (every,) = [one["parts"] for one in told["sections"] if one["title"] == "Checks"]
        assert [part["check"]["status"] for part in every] == [*["raised"] * 7, "not run", "clear"]


class TestNames:
    @pytest.mark.parametrize("clip", ["愤怒/{n}.wav", "กา-{n}-👍🏽.wav", "한국어 日本語 हिन्दी {n}"])
    def test_in_any_script_survive(self, clip: str, tmp_path: Path) -> None:
        audit = made(clips=12, clip=clip, labels=("愤怒", "joie", "ярость", "غضب"))
        exhibited(audit, tmp_path, audit.rows[0].clip)
        found = attached(pdf.write(material(audit, tmp_path)))
        assert clip.format(n=0).encode() in found["rows.jsonl"]
        assert "愤怒".encode() in found["report.json"]

    def test_that_no_font_has_are_escaped_and_that_is_said(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        audit = made(clips=12, labels=("愤怒", "joie", "ярость"), name="模型")
        told = set_as(material(audit, tmp_path), monkeypatch)
        assert told["title"] == "\\u6a21\\u578b under attack"
        assert "愤" not in json.dumps(told, ensure_ascii=False)
        assert "ярость" in json.dumps(told, ensure_ascii=False)
        note = told["first"][-1]["text"]
        assert note.startswith("Letters that this report's fonts do not have")
        assert ": 4 different ones." in note

    def test_need_no_escape_where_all_letters_are_in_a_font(
        self, audit: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told = set_as(material(audit, tmp_path), monkeypatch)
        assert "fonts do not have" not in json.dumps(told)

    def test_a_folder_of_fonts_has_more_letters(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Tifinagh is in DejaVu Sans, and in none of the typesetter's own."""
        audit = made(clips=12, name="ⵜⵉⴼⵉⵏⴰⵖ")
        fonts = Path(font_manager.findfont("DejaVu Sans")).parent
        without = set_as(material(audit, tmp_path), monkeypatch)
        assert without["title"].startswith("\\u2d5c")
        found = set_as(material(audit, tmp_path, fonts=fonts), monkeypatch)
        assert found["title"] == "ⵜⵉⴼⵉⵏⴰⵖ under attack"

    @pytest.mark.parametrize("text", HOSTILE)
    def test_are_text_and_never_source(
        self, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        audit = made(clips=6, clip=text.replace("{", "{{").replace("}", "}}"), name=text)
        exhibited(audit, tmp_path, text)
        told = set_as(material(audit, tmp_path), monkeypatch)
        shown = json.dumps(told, ensure_ascii=False)
        assert not re.search(r"[\x00-\x1f\u202e]", shown)
        assert "root:" not in shown


def set_as(found: Material, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The content as it was set at last, when the PDF is there."""
    seen: list[dict[str, Any]] = []

    def noted(folder: Path, moment: datetime, fonts: Path | None) -> bytes:
        made_ = typesetting.typeset(folder, moment, fonts)
        seen.append(json.loads((folder / "content.json").read_bytes()))
        return made_

    monkeypatch.setattr(pdf, "typeset", noted)
    assert pdf.write(found).startswith(b"%PDF")
    return seen[-1]


class TestTypesetting:
    def set(self, folder: Path, source: str) -> bytes:
        head = '#set document(title: "t", date: datetime(year: 2026, month: 1, day: 1))\n'
        (folder / "report.typ").write_text(f'{head}#set text(lang: "en")\n{source}')
        (folder / "content.json").write_text('{"first": []}')
        return typesetting.typeset(folder, datetime(2026, 1, 1, tzinfo=UTC), None)

    def test_a_document_that_takes_for_ever_is_ended(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(typesetting, "SECONDS", 2)
        with pytest.raises(Unavailable, match="within 2 s") as refused:
            self.set(
                tmp_path, "#for a in range(100000) { for b in range(100000) { let c = a * b } }"
            )
        assert refused.value.code == "report_too_large"

    def test_one_that_takes_too_much_memory_is_ended(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(typesetting, "MEMORY_BYTES", 400 * 1024**2)
        with pytest.raises(Unavailable, match="in 400 MiB"):
            self.set(tmp_path, '#let a = "x" * 500000000\n#a.len()')

    @pytest.mark.parametrize("path", ["/etc/passwd", "../secret.txt"])
    def test_no_file_outside_of_its_folder_is_read(self, tmp_path: Path, path: str) -> None:
        (tmp_path / "secret.txt").write_text("secret")
        folder = tmp_path / "document"
        folder.mkdir()
        with pytest.raises(RuntimeError, match="typst failed"):
            self.set(folder, f'#read("{path}")')

    def test_no_package_is_fetched(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(typesetting, "SECONDS", 20)
        with pytest.raises(RuntimeError, match="typst failed"):
            self.set(tmp_path, '#import "@preview/cetz:0.1.0": canvas')

    def test_the_template_imports_no_package(self) -> None:
        template = resources.files("app.reports").joinpath("templates", "report.typ").read_text()
        assert "@" not in template
        assert "#import" not in template

    def test_the_process_has_none_of_the_services_secrets(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given: dict[str, str] = {}

        def run(*_: Any, env: dict[str, str], **__: Any) -> Any:
            given.update(env)
            (tmp_path / "report.pdf").write_bytes(b"%PDF")
            return subprocess.CompletedProcess([], 0)

        monkeypatch.setattr(subprocess, "run", run)
        monkeypatch.setenv("SERVAL_DATABASE_PASSWORD", "secret")
        self.set(tmp_path, "text")
        assert set(given) <= {"PATH", "PYTHONPATH", "RAYON_NUM_THREADS"}

    def test_the_api_does_not_load_the_typesetter(self) -> None:
        told = subprocess.run(
            [sys.executable, "-c", "import app.reports.pdf, sys; print('typst' in sys.modules)"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert told.stdout.strip() == "False"

"""A study as JSON, CSV, Markdown and LaTeX: the same figures, and names that do nothing."""

import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from models.corpus.manifest import Clip, Manifest
from models.studies.deviations import Deviation
from models.studies.rendering import RENDERERS
from models.studies.rendering.csv import COLUMNS
from models.studies.rendering.latex import escaped as latex
from models.studies.rendering.markdown import escaped as markdown
from models.studies.result import StudyResult, assemble
from tests.models.studies.made import cell, study

HOSTILE = '=1+1|`x`<b>\\end{document}%$&#_^~{["@all\n\u202eдрук'
MANIFEST = Manifest(
    tuple(
        Clip(f"{n}.wav", f"s{n}", "f", emotion, "", 1.0, split)
        for n, (emotion, split) in enumerate(
            [("joy", "train"), (HOSTILE, "dev"), ("joy", "dev"), ("joy", "test")]
        )
    )
)
CELLS = (
    cell(),
    cell("vanilla", 0.06, device="a CPU & more"),
    cell("similarity", 0.06, audits={}, missing="the training failed: 50 % of the disk is full"),
)
RESULT = assemble(
    study(*CELLS),
    MANIFEST,
    corpus="A corpus of 100 %",
    protocol="icassp2020-paper",
    deviations=[Deviation(field="iterations", value=100, of_the_preset=10_000)],
)
TEXT = {name: render(RESULT) for name, render in RENDERERS.items()}


def lines() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(TEXT["csv"], newline="")))


class TestJson:
    def test_is_read_back_as_it_was(self) -> None:
        assert StudyResult.model_validate_json(TEXT["json"]) == RESULT

    def test_names_each_table(self) -> None:
        assert set(json.loads(TEXT["json"])) >= {
            "caption", "partition", "performance", "baselines", "curves", "significance",
            "transfer", "costs", "claims",
        }  # fmt: skip


class TestCaption:
    def test_says_protocol_device_and_every_deviation(self) -> None:
        told = " ".join(RESULT.caption.sentences)
        assert "Protocol: icassp2020-paper, 100 iterations" in told
        assert "iterations 100 in place of 10000" in told
        assert "Trained on a CPU, a CPU & more; seeds 0; 2 of 3 cells have a model" in told
        assert "pgd (" in told
        assert "steps 10" in told

    @pytest.mark.parametrize("name", ["markdown", "latex"])
    def test_stands_above_the_tables(self, name: str) -> None:
        assert "in place of" in TEXT[name].split("Table 1")[0]


class TestCsv:
    def test_has_a_figure_a_line_with_ends_as_the_rfc_says(self) -> None:
        assert TEXT["csv"].startswith(",".join(COLUMNS) + "\r\n")
        assert {one["table"] for one in lines()} == {
            "partition", "performance", "baselines", "curves", "significance", "transfer", "costs",
            "claims",
        }  # fmt: skip

    def test_has_the_figures_of_the_tables_in_full(self) -> None:
        row = RESULT.performance.rows[0]
        estimate = row.figures["clean"]["test"].estimate
        assert estimate is not None
        (found,) = (
            one
            for one in lines()
            if (one["table"], one["training"], one["condition"], one["partition"])
            == ("performance", row.training, "clean", "test")
        )
        assert float(found["value"]) == estimate.value
        assert (float(found["low"]), float(found["high"])) == estimate.interval
        assert (found["n"], found["n_speakers"], found["n_seeds"]) == ("48", "8", "1")

    def test_what_is_missing_is_empty_with_its_reason(self) -> None:
        failed = [one for one in lines() if one["training"] == "similarity" and one["n"] == ""]
        assert failed
        assert {one["value"] for one in failed if one["figure"] == "uar"} == {""}
        assert "50 % of the disk is full" in failed[0]["missing"]

    def test_a_name_is_no_formula(self) -> None:
        assert f"'{HOSTILE}" in {one["of"] for one in lines()}


class TestMarkdown:
    def test_every_line_of_a_table_has_as_many_cells_as_its_head(self) -> None:
        blocks = re.findall(r"(?:^\|.*\n)+", TEXT["markdown"], re.MULTILINE)
        assert len(blocks) > 8
        for block in blocks:
            widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
            assert len(widths) == 1

    def test_reasons_stand_below(self) -> None:
        told = TEXT["markdown"].split("Table 2")[1].split("## ")[0]
        assert "the training failed: 50 % of the disk is full" in told

    def test_names_are_text(self) -> None:
        assert markdown(HOSTILE) == (
            '=1+1\\|\\`x\\`&lt;b&gt;\\\\end{document}%$&amp;\\#\\_^\\~{\\["@<!-- -->all друк'
        )


class TestLatex:
    def test_every_environment_is_closed(self) -> None:
        stack: list[str] = []
        for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", TEXT["latex"]):
            if kind == "begin":
                stack.append(name)
            else:
                assert stack.pop() == name
        assert stack == []

    def test_every_line_of_a_table_has_as_many_cells_as_columns(self) -> None:
        tables = re.findall(
            r"\\begin\{(?:tabular|longtable)\}\{(l+)\}\n(.*?)\\end\{", TEXT["latex"], re.DOTALL
        )
        assert len(tables) > 8
        for columns, body in tables:
            rows = [line for line in body.splitlines() if line.endswith(r" \\")]
            assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in rows} == {len(columns)}
            assert body.count(r"\toprule") == 1

    def test_names_are_text(self) -> None:
        assert latex(HOSTILE) == (
            r"=1+1\textbar{}\textasciigrave{}x\textasciigrave{}\textless{}b\textgreater{}"
            r"\textbackslash{}end\{document\}\%\$\&\#\_\textasciicircum{}\textasciitilde{}\{{[}"
            r"\textquotedbl{}@all \texttt{U+0434}\texttt{U+0440}\texttt{U+0443}\texttt{U+043A}"
        )

    def test_figures_are_those_of_markdown(self) -> None:
        estimate = RESULT.performance.rows[0].figures["clean"]["test"].estimate
        assert estimate is not None
        shown = f"{estimate.value:.3f}".removeprefix("0")
        assert shown in TEXT["latex"]
        assert shown in TEXT["markdown"]

    def test_compiles(self, tmp_path: Path) -> None:
        compiler = shutil.which("pdflatex")
        if compiler is None:
            pytest.skip("there is no pdflatex")
        (tmp_path / "study.tex").write_text(TEXT["latex"])
        done = subprocess.run(
            [compiler, "-interaction=nonstopmode", "-halt-on-error", "study.tex"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:]
        assert (tmp_path / "study.pdf").is_file()


@pytest.mark.parametrize("name", RENDERERS)
def test_an_unfinished_study_has_tables_too(name: str) -> None:
    nothing = assemble(study(CELLS[2]), MANIFEST, corpus="a corpus", protocol="none")
    assert "50 % of the disk is full" in RENDERERS[name](nothing).replace("\\%", "%")

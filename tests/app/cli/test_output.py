"""Tables, on terminals wide and narrow."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from app.cli import output
from app.cli.output import table

COLUMNS = ("model", "attack", "success")
ROWS = [("cnn4-similarity-cremad", "0 ensemble (control)", 0.25), ("情感模型", "1 pgd", None)]

Shown = Callable[[int], str]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shown:
    """The table on a terminal of so many cells."""

    def show(width: int) -> str:
        file = io.StringIO()
        console = Console(file=file, width=width, force_terminal=True, highlight=False,
                          color_system=None)  # fmt: skip
        monkeypatch.setattr(output, "console", lambda: console)
        table(COLUMNS, ROWS, title="found")
        return file.getvalue() + capsys.readouterr().out

    return show


class TestTable:
    def test_on_a_wide_terminal_has_a_line_for_each_row(self, shown: Shown) -> None:
        (line,) = (line for line in shown(80).splitlines() if "cnn4" in line)
        assert line.split() == ["cnn4-similarity-cremad", "0", "ensemble", "(control)", "0.250"]

    @pytest.mark.parametrize("width", range(20, 80))
    def test_breaks_no_word_on_any_terminal(self, shown: Shown, width: int) -> None:
        told = shown(width)
        for word in ("cnn4-similarity-cremad", "ensemble", "(control)", "情感模型", "success"):
            assert word in told

    def test_on_a_narrow_terminal_has_a_block_for_each_row(self, shown: Shown) -> None:
        lines = shown(30).splitlines()
        assert lines == [
            "found",
            "",
            "model    cnn4-similarity-cremad",
            "attack   0 ensemble (control)",
            "success  0.250",
            "",
            "model    情感模型",
            "attack   1 pgd",
            "success  –",
        ]

    def test_in_a_pipe_is_as_wide_as_it_needs(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("COLUMNS", "30")
        table(COLUMNS, ROWS)
        (line,) = (line for line in capsys.readouterr().out.splitlines() if "cnn4" in line)
        assert line.split() == ["cnn4-similarity-cremad", "0", "ensemble", "(control)", "0.250"]

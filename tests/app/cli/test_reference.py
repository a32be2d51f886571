"""The page of the command line is what the commands say of themselves."""

import pytest

from app.cli.reference import page
from tests.models.pages import DOCS


def test_the_page_is_the_one_that_the_commands_make() -> None:
    text = (DOCS / "command-line.md").read_text(encoding="utf-8")
    assert text == page(), "run make commands"


def test_every_command_has_a_section_with_its_options() -> None:
    for command in ("audit", "corpus add", "jobs follow", "models add", "report", "artifacts"):
        assert f"\n## serval {command}\n" in page()
    assert "`--preset <str>`" in page()


def test_an_option_that_only_sounds_like_a_shared_one_is_told() -> None:
    purge = page().partition("## serval purge")[2].partition("\n## ")[0]
    assert "`--key <str>`" in purge
    assert "`--json`" not in purge


def test_the_page_is_the_same_on_every_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = page()
    monkeypatch.setenv("COLUMNS", "30")
    assert page() == whole

"""docs/gates.md: what it tells somebody to copy can be run."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import typer.main
import yaml

from app.cli.commands import app
from app.gates.expression import parse
from app.gates.gate_file import read
from app.gates.verdict import WORDS
from models.audit.checks import CHECKS

TEXT: Final = (Path(__file__).parents[3] / "docs" / "gates.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    assert found
    return [str(one) for one in found]


def workflow() -> dict[str, Any]:
    (block,) = blocks("yaml")
    found: dict[str, Any] = yaml.safe_load(block)
    return found


def steps() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = workflow()["jobs"]["robustness"]["steps"]
    return found


def commands() -> Iterator[list[str]]:
    """Every `serval …` of the shell blocks and the workflow, as a shell splits it."""
    scripts = [*blocks("sh"), *(step["run"] for step in steps() if "run" in step)]
    for script in scripts:
        for line in script.replace("\\\n", " ").splitlines():
            if line.strip().startswith("serval "):
                yield shlex.split(line)


class TestWhatIsCopied:
    @pytest.mark.parametrize("words", list(commands()), ids=" ".join)
    def test_every_command_and_option_exists(self, words: list[str]) -> None:
        root: Any = typer.main.get_command(app)
        command = root.commands[words[1]]
        known = {name for one in command.params for name in one.opts}
        assert {word for word in words if word.startswith("-")} <= known

    def test_every_condition_is_one(self) -> None:
        conditions = [
            words[place + 1]
            for words in commands()
            for place, word in enumerate(words)
            if word == "--fail-if"
        ]
        assert len(conditions) >= 3
        for condition in conditions:
            assert str(parse(condition)) == condition

    def test_the_gate_file_is_one_and_waives_a_check_that_there_is(self, tmp_path: Path) -> None:
        (block,) = blocks("toml")
        path = tmp_path / "serval-gate.toml"
        path.write_text(block)
        found = read(path)
        assert len(found.gates) == 2
        assert {one.check for one in found.waivers} <= CHECKS.keys()

    def test_the_workflow_judges_keeps_the_verdict_and_comments_on_failure_too(self) -> None:
        assert set(workflow()) == {"name", True, "permissions", "jobs"}  # YAML reads `on` as true
        judged = next(n for n, step in enumerate(steps()) if "serval audit" in step.get("run", ""))
        behind = steps()[judged + 1 :]
        assert len(behind) == 2
        assert all(step["if"].startswith("always()") for step in behind)
        assert "serval.xml" in behind[0]["with"]["path"]

    def test_the_table_has_every_exit_code(self) -> None:
        for code in WORDS:
            assert f"\n| {code.value} | " in TEXT
            assert f"\n  {code.value}) " in TEXT

"""`docs/command-line.md`: every command with its arguments and options, from the commands.

``python -m app.cli.reference`` prints it.
"""

import sys
from collections.abc import Iterator
from typing import Any, Final

import typer
import typer.main

HEAD: Final = """\
# The command line

`make commands` writes this page from the commands in `app/cli/`. `serval COMMAND --help` says the
same, and lists every preset, attack, corruption, defence, training of studies, architecture and
front end that is registered, with what it takes: the "list below" that some options speak of.

```sh
serval audit --model cnn4-single-cremad --corpus mini             # the preset quick
serval audit --model cnn4-single-cremad --corpus mini --preset standard --dry-run
serval audit --model cnn4-single-cremad --corpus mini --attack "pgd steps=10 epsilon=.02,.04" \\
  --attack "noise epsilon=.02,.04" --corruption "gain db=-20,6" --no-wait
serval jobs list --status running
serval report AUDIT --format json -o found.json && serval artifacts AUDIT -o found
serval jobs show AUDIT --json | jq .input > again.json && serval audit --request again.json
serval reproduce --corpus cremad --architecture cnn4 --iterations 2000 --into found   # a study
```

| exit code | means |
|---|---|
| 0 | it is done |
| 1 | it is not: the service, a file or a job says why, on standard error |
| 2 | an option or argument is none |
| 130 | Ctrl-C; a job that was watched goes on |

Results go to standard output, and progress and remarks to standard error. With `--json` standard
output holds one JSON document, as the service answers it.
"""
SHARED: Final = {
    "--url": "Address of the service.",
    "--key": "API key, sk_…",
    "--json": "Print JSON, for programs.",
    "--help": "Show this message and exit.",
}
"""What says this of itself is told once, at the end."""
FOOT: Final = """
## Options that many commands have

| | |
|---|---|
| `--url <str>` | Address of the service; `SERVAL_URL`, or http://127.0.0.1:8000. |
| `--key <str>` | API key, `sk_…`; better `SERVAL_API_KEY`: all users see the list of processes. |
| `--json` | Print JSON, for programs. |
"""


def page() -> str:
    """The text of the page."""
    from app.cli.commands import app

    root = typer.main.get_command(app)
    context = root.make_context("serval", [], resilient_parsing=True)
    return "".join([HEAD, *_sections(root, context), FOOT])


def _sections(command: Any, context: Any) -> Iterator[str]:
    """Of a command, or of all that are below it, by name."""
    below = getattr(command, "commands", None)
    if below is None:
        yield _section(command, context)
        return
    for name in sorted(below):
        inner = type(context)(below[name], info_name=name, parent=context)
        yield from _sections(below[name], inner)


def _section(command: Any, context: Any) -> str:
    usage = " ".join(command.collect_usage_pieces(context))
    parts = [f"\n## {context.command_path}\n\n", f"{_one_line(command.help)}\n\n"]
    parts.append(f"    {context.command_path} {usage}\n")
    rows = [_row(one, context) for one in command.get_params(context)]
    shown = [row for row in rows if row is not None]
    if shown:
        parts.append("\n| | |\n|---|---|\n")
        parts.extend(f"| {_cell(f'`{names}`')} | {_cell(told)} |\n" for names, told in shown)
    return "".join(parts)


def _row(parameter: Any, context: Any) -> tuple[str, str] | None:
    """How an option or argument is written, and what it does, with its default."""
    if any(SHARED.get(name) == parameter.help for name in parameter.opts):
        return None
    record = parameter.get_help_record(context)
    return None if record is None else (record[0], " ".join(record[1].split()))


def _one_line(text: str | None) -> str:
    return "\n\n".join(" ".join(part.split()) for part in (text or "").split("\n\n"))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())

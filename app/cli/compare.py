"""`serval compare`: audits beside each other."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from app.cli.api import DEFAULT_URL, Api, Key, Url
from app.cli.errors import CliError
from app.cli.output import print_json, table

if TYPE_CHECKING:
    from app.comparisons.schemas import Comparison

HEADS: Final = (
    "at", "figure", "audits", "first", "second", "difference", "Holm p", "McNemar", "n",
)  # fmt: skip


class Format(StrEnum):
    """How a comparison is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"


def compare(
    audits: Annotated[list[str], typer.Argument(help="Two to five audits.")],
    *,
    baseline: Annotated[
        str | None,
        typer.Option(help="Compare each with this one alone; else each with every other."),
    ] = None,
    figure: Annotated[
        list[str] | None,
        typer.Option(
            help="Compare this alone: uar, success_rate, flip_rate; once for each.",
            show_default="all three",
        ),
    ] = None,
    every_field: Annotated[
        bool, typer.Option("--all", help="Also the fields in which the audits agree.")
    ] = False,
    form: Annotated[Format, typer.Option("--format", help="How it is printed.")] = Format.TABLE,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Whether one audited model is more robust than another, on the clips that all audits have."""
    request: dict[str, Any] = {"audits": audits, "all": every_field}
    if baseline is not None:
        request["baseline"] = baseline
    if figure:
        request["figures"] = figure
    with Api(url, key) as api:
        answer = api.post("/v1/comparisons", json=request)
    if answer["status"] == "waiting":
        running = ", ".join(
            f"{one['id']} is {one['status']}"
            for one in answer["audits"]
            if one["status"] != "succeeded"
        )
        raise CliError(f"Not all audits have ended: {running}. Ask again when they have.")
    if form is Format.JSON:
        print_json(answer)
        return
    from app.comparisons.formats import WRITTEN
    from app.comparisons.schemas import Comparison

    found = Comparison.model_validate(answer)
    if form is Format.TABLE:
        _show(found)
    else:
        typer.echo(WRITTEN[form.value](found), nl=False)


def _show(found: "Comparison") -> None:
    from json import dumps

    from app.comparisons.formats import evidence_of, row_of

    names = {one.id: one.name for one in found.audits}
    for one in found.audits:
        typer.echo(f"{one.name}  {one.id}  {one.model}  evidence {evidence_of(one)}")
    if found.common is not None:
        speakers = "?" if found.common.speakers is None else found.common.speakers
        typer.echo(
            f"in common: {found.common.clips} clips, {speakers} speakers;"
            f" attacks at a strength: {found.common.points}"
        )
        for left in found.common.left_out:
            typer.echo(
                f"left out of {names[left.audit]}: {left.clips} clips; attacks at a strength:"
                f" {len(left.points)}"
            )
    for row in found.differs or []:
        typer.echo(
            f"differs: {row.field}: "
            + " | ".join(f"{names[audit]} {dumps(value)}" for audit, value in row.values.items())
        )
    table(HEADS, [row_of(one, names) for one in found.deltas or []])
    for ranked in found.ranking or []:
        typer.echo(ranked.sentence)
    for warning in found.warnings or []:
        typer.echo(warning, err=True)

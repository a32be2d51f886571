"""`serval card`: a model card, with the figures of an audit."""

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from app.cli.api import DEFAULT_URL, Api, Key, Url
from app.cli.writing import check_writable, write_over


def card(
    model: Annotated[str, typer.Argument(help="A model's id.")],
    *,
    audit: Annotated[
        str | None, typer.Option(help="Audit of that model.", show_default="the latest")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File, such as README.md.")
    ] = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Write a model card: Markdown that the Hugging Face Hub reads."""
    if output is not None:
        check_writable(output)
    with Api(url, key) as api:
        text = api.text(f"/v1/models/{quote(model, safe='')}/card", audit=audit)
    if output is None:
        typer.echo(text, nl=False)
        return
    write_over(output, text)
    typer.echo(f"{output} is written.", err=True)

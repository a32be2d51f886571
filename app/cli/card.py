"""`serval card`: a model card, with the figures of an audit."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.api import DEFAULT_URL, Api, Key, Url, path_to
from app.cli.writing import Force, check_writable, refuse_to_overwrite, written


def card(
    model: Annotated[str, typer.Argument(help="A model's id.")],
    *,
    audit: Annotated[
        str | None, typer.Option(help="Audit of that model.", show_default="the latest")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File, such as README.md.")
    ] = None,
    force: Force = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Write a model card: Markdown that the Hugging Face Hub reads."""
    if output is not None:
        check_writable(output)
        refuse_to_overwrite(output, force=force)
    with Api(url, key) as api:
        text = api.text(path_to("models", model, "card"), audit=audit)
    if output is None:
        typer.echo(text, nl=False)
        return
    with written(output, force=force) as file:
        file.write(text.encode())
    typer.echo(f"{output} is written.", err=True)

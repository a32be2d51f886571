"""The commands, put together."""

import sys
from typing import Annotated

import typer

from app.cli import (
    artifacts,
    audit,
    card,
    compare,
    corpus,
    gate,
    jobs,
    keys,
    models,
    operations,
    predict,
    processes,
    purge,
    replay,
    report,
    reproduce,
    signing_key,
    study,
    study_request,
    train,
)
from app.cli.errors import CliError
from app.settings import BadSetting

app = typer.Typer(
    name="serval",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Serve speech-emotion-recognition models, audit their robustness, train hardened ones.",
)
app.command()(processes.up)
app.command()(processes.serve)
app.command()(processes.worker)
app.command()(operations.migrate)
app.command()(operations.health)
app.command()(operations.doctor)
app.command()(predict.predict)
app.command(cls=audit.AuditCommand)(audit.audit)
app.command()(compare.compare)
app.command()(gate.gate)
app.command()(card.card)
app.command()(report.report)
app.command()(artifacts.artifacts)
app.command(cls=train.TrainCommand)(train.train)
app.command(cls=study_request.StudyCommand)(reproduce.reproduce)
app.add_typer(study.app)
app.command()(replay.replay)
app.command()(replay.verify)
app.add_typer(jobs.app)
app.add_typer(models.app)
app.add_typer(corpus.app)
app.add_typer(keys.app)
app.add_typer(signing_key.app)
app.command()(purge.purge)
app.command()(purge.deletions)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"serval {version('serval')}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", is_eager=True, callback=_show_version
        ),
    ] = False,
) -> None:
    """Options of `serval` itself."""


def run() -> None:
    """Do what the arguments of this process say, and exit."""
    try:
        app()
    except (CliError, BadSetting) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)

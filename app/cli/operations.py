"""`serval migrate`, `health`: for those who run the service, and for what watches it for them."""

from enum import StrEnum

import typer

from app.cli.processes import told_as_a_process
from app.processes import keep_files_private
from app.settings import Settings, load_settings


class Process(StrEnum):
    """The processes of the service that have a health."""

    API = "api"
    AUDITS = "audits"
    TRAININGS = "trainings"
    RECONCILER = "reconciler"


def migrate() -> None:
    """Bring the database up to date, and exit. Several at once do no harm."""
    from app.migrations import head, named_database, open_database

    keep_files_private()
    with told_as_a_process():
        settings = load_settings()
        open_database(settings).dispose()
    typer.echo(f"{named_database(settings)}, at revision {head()}.")


def health(process: Process) -> None:
    """Say in one line whether a process on this host works; exit 1 if it does not.

    The API is asked for /healthz. A worker and the reconciler are healthy while they touch their
    heartbeat file, which they do when the database, the queue and the data folder answer.
    """
    settings = load_settings()
    why_not = _why_not(process, settings)
    if why_not is not None:
        typer.echo(f"{process}: {why_not}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{process}: healthy")


def _why_not(process: Process, settings: Settings) -> str | None:
    if process is Process.API:
        from app.server.listening import base_url
        from app.supervisor.asking import why_not_alive

        return why_not_alive(base_url(settings.host, settings.port))
    from app.operations.heartbeat import Heartbeat

    return Heartbeat.of(settings, process).why_not()

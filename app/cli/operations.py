"""`serval migrate`, `health`, `doctor`: for those who run the service, and for what watches it."""

from enum import StrEnum

import typer

from app.cli.output import Json, print_json, table
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


def doctor(*, json: Json = False) -> None:
    """Look at database, queue, storage, device, models, disk and clock; exit 1 if one fails."""
    from app.operations.doctor import examine

    keep_files_private()
    found = list(examine(load_settings()))
    if json:
        print_json([one._asdict() for one in found])
    else:
        rows = [(one.part, "ok" if one.ok else "FAILS", one.about) for one in found]
        table(("part", "state", "about"), rows)
    raise typer.Exit(0 if all(one.ok for one in found) else 1)


def _why_not(process: Process, settings: Settings) -> str | None:
    if process is Process.API:
        from app.server.listening import base_url
        from app.supervisor.asking import why_not_alive

        return why_not_alive(base_url(settings.host, settings.port))
    from app.operations.heartbeat import Heartbeat

    return Heartbeat.of(settings, process).why_not()

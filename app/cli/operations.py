"""`serval migrate`, `health`, `doctor`: for those who run the service, and for what watches it."""

import typer

from app.cli.health import Process, told
from app.cli.output import Json, print_json, table
from app.cli.processes import told_as_a_process
from app.processes import keep_files_private
from app.settings import load_settings


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
    heartbeat file, which they do when the database, the queue and the data folder answer. Of
    several workers of a queue on this host, one that works suffices.
    """
    settings = load_settings()
    raise typer.Exit(told(process, settings.data_dir, settings.host, settings.port))


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

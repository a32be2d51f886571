"""`serval purge` and `serval deletions`: what is to be forgotten, and what was.

Like `serval keys` they open the database and the data folder themselves, and need no key.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.errors import CliError
from app.cli.opening import opened
from app.cli.output import Json, print_json, table
from app.settings import load_settings

if TYPE_CHECKING:
    from app.erasure.service import Erased, Group, Selection

Key = Annotated[
    str | None,
    typer.Option(help="key_…, revoked ones too, or local: all that it owns, whatever its age."),
]
OlderThan = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=36_500,
        metavar="DAYS",
        help="Jobs that ended, and corpora and models that were made, longer ago.",
    ),
]


def purge(
    *,
    key: Key = None,
    older_than: OlderThan = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Delete jobs, corpora and models: of a key, of a certain age, or both.

    With --key alone jobs that have not ended are cancelled first. Whatever an unfinished job uses
    stays, and is told: run it again then. Each deletion stands in `serval deletions`.
    """
    from app.access.deletions.service import CLI, Order
    from app.erasure import service
    from app.persistence.storage import Storage

    if key is None and older_than is None:
        raise CliError("Say what is to go: --key KEY_ID, --older-than DAYS, or both.")
    settings = load_settings()
    with opened(settings) as sessions:
        chosen = _selection(key, older_than)
        with sessions() as session:
            if key is not None:
                _check_key(session, key)
            groups = service.listed(session, chosen)
        if dry_run or not groups:
            _show(groups, json=json)
            return
        if not yes:
            _show(groups, json=False)
            typer.confirm("Delete all of this for good?", abort=True, err=True)
        storage = Storage(settings.data_dir)
        order = Order(CLI, "purge")
        done = service.erase(sessions, storage, chosen, order, seconds=float("inf"))
    _tell(done, json=json)
    if any(done.left.values()):
        raise typer.Exit(1)


def _selection(key: str | None, older_than: float | None) -> "Selection":
    from app.erasure.service import Selection
    from app.persistence.database import now

    before = None if older_than is None else now() - timedelta(days=older_than)
    return Selection(owner=key, before=before)


def _check_key(session: Any, key: str) -> None:
    from app.access.keys import service
    from app.access.owners import LOCAL

    if key != LOCAL:
        service.get(session, key)


def _show(groups: Sequence["Group"], *, json: bool) -> None:
    if json:
        print_json([one._asdict() | {"oldest": one.oldest.isoformat()} for one in groups])
    elif not groups:
        typer.echo("There is nothing to delete.")
    else:
        columns = ("owner", "what", "how many", "bytes", "oldest")
        table(columns, [(*one[:4], f"{one.oldest:%Y-%m-%d %H:%M}") for one in groups])


def _tell(done: "Erased", *, json: bool) -> None:
    if json:
        print_json({"deleted": done.counts, "bytes": done.bytes, "left": done.left})
        return
    typer.echo(f"Deleted {_counted(done.counts)}: {done.bytes} bytes.")
    if any(done.left.values()):
        typer.echo(
            f"Left: {_counted(done.left)}. A job that has not ended uses it, or its worker has not"
            " stopped yet; run this again in a while.",
            err=True,
        )


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def deletions(
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 20,
    after: Annotated[
        str | None, typer.Option(help="deletion_…: the last one of the page before.")
    ] = None,
    json: Json = False,
) -> None:
    """List what was deleted, newest first: when, by whom, and why."""
    from app.access.deletions.schemas import Deletion
    from app.access.deletions.tables import Deletion as Row
    from app.persistence.pages import newest_first

    with opened(load_settings()) as sessions, sessions() as session:
        rows, _ = newest_first(session, Row, owner=None, after=after, limit=limit)
        found = [Deletion.of(row).model_dump(mode="json") for row in rows]
    if json:
        print_json(found)
        return
    columns = ("created_at", "actor", "reason", "kind", "subject", "owner", "bytes", "id")
    table(columns, [tuple(one[column] for column in columns) for one in found])

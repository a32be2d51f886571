"""`serval keys`: API keys, in the database of this machine's settings.

It opens the database itself, not the service: so it works before the service ever ran, and needs no
key. Who may read the database's file, or knows its DATABASE_URL, may make keys.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.errors import CliError
from app.cli.output import Json, print_json, table
from app.processes import keep_files_private, serval_command
from app.settings import load_settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

app = typer.Typer(
    name="keys",
    no_args_is_help=True,
    help="Make, list and revoke API keys, and hand over what they own. Opens the database directly"
    " (DATABASE_URL, or that in SERVAL_DATA_DIR): it needs no key, and no running service.",
)


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for.")],
    scopes: Annotated[
        list[str],
        typer.Option(
            "--scopes",
            "--scope",
            help="predict, audit, train or admin; several by commas or by repetition.",
        ),
    ],
    *,
    adopt_local: Annotated[
        bool,
        typer.Option("--adopt-local", help="Give it what was made while there was no key."),
    ] = False,
    json: Json = False,
) -> None:
    """Make a key and print its token, which is shown this once.

    From then on every request needs a key, and no other key sees what was made before there was
    one.
    """
    from app import ownership_transfer
    from app.access.keys.service import add_key
    from app.access.owners import LOCAL

    if not 0 < len(name) <= 100 or not name.isprintable():
        raise CliError(f"The name {name!r} must be one line of 1 to 100 characters.")
    chosen = [scope.strip() for given in scopes for scope in given.split(",") if scope.strip()]
    with _session() as session:
        made = add_key(session, name=name, scopes=chosen)
        if adopt_local:
            ownership_transfer.transfer_ownership(session, of=LOCAL, by=made.key.id)
        session.commit()
        left = ownership_transfer.owned_by(session, LOCAL)
    if json:
        print_json({"id": made.key.id, "scopes": made.key.scopes, "token": made.token})
    else:
        typer.echo(made.token)
        _remark(
            f"This is {made.key.id} ({', '.join(made.key.scopes)}). Keep the token: it is not"
            " stored. Use it: export SERVAL_API_KEY=sk_…"
        )
    if any(left):
        _remark(
            f"No key sees what was made while there was none: {left}. To give it to this one:"
            f" {serval_command(f'keys adopt --from {LOCAL} --to {made.key.id}')}"
        )


def _remark(text: str) -> None:
    typer.echo(text, err=True)


@app.command("list")
def list_(*, json: Json = False) -> None:
    """List the keys, revoked ones too. Their tokens are not stored."""
    from app.access.keys.schemas import Key
    from app.access.keys.service import list_keys

    with _session() as session:
        keys = [Key.of(row).model_dump(mode="json") for row in list_keys(session)]
    if json:
        print_json(keys)
        return
    table(
        ("id", "name", "scopes", "created", "revoked"),
        [
            (k["id"], k["name"], ", ".join(k["scopes"]), k["created_at"], k["revoked_at"] or "")
            for k in keys
        ],
    )


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="key_…, as `serval keys list` shows it.")],
) -> None:
    """Revoke a key. What it owns stays, and another key may adopt it."""
    from app.access.keys.service import revoke_key
    from app.ownership_transfer import owned_by

    with _session() as session:
        key = revoke_key(session, key_id)
        left = owned_by(session, key.id)
    typer.echo(f"{key.id} ({key.name}) is revoked.")
    if any(left):
        _remark(
            f"It leaves {left}, which nobody sees now. To give that to another key:"
            f" {serval_command(f'keys adopt --from {key.id} --to key_…')}"
        )


@app.command()
def adopt(
    *,
    of: Annotated[
        str, typer.Option("--from", help="key_…, or local: what was made while there was no key.")
    ],
    by: Annotated[str, typer.Option("--to", help="key_…, as `serval keys list` shows it.")],
) -> None:
    """Give all that a key owns to another one: jobs, corpora and models."""
    from app import ownership_transfer

    with _session() as session:
        given = ownership_transfer.transfer_ownership(session, of=of, by=by)
        session.commit()
    typer.echo(f"{by} owns what {of} owned: {given}.")


@contextmanager
def _session() -> Iterator["Session"]:
    """A session on the migrated database."""
    from app.errors import ServalError
    from app.migrations import open_database
    from app.persistence.database import sessions

    keep_files_private()
    engine = open_database(load_settings())
    try:
        with sessions(engine)() as session:
            yield session
    except ServalError as error:
        raise CliError(error.detail) from error
    finally:
        engine.dispose()

"""`serval signing-key`: with what this installation signs. Needs no running service."""

import typer

from app.cli.errors import CliError
from app.cli.output import Json, print_json
from app.processes import keep_files_private
from app.settings import load_settings, make_data_dir

app = typer.Typer(
    name="signing-key",
    no_args_is_help=True,
    help="The key that reports and bundles are signed with.",
)


@app.command()
def show(*, json: Json = False) -> None:
    """Show the public key, its fingerprint, and those before it. Makes one if there is none."""
    _tell(rotate_first=False, json=json)


@app.command()
def rotate(*, json: Json = False) -> None:
    """Sign with a new key from now on. The one before is destroyed; its public key stays known."""
    _tell(rotate_first=True, json=json)


def _tell(*, rotate_first: bool, json: bool) -> None:
    from app.errors import ServalError
    from app.persistence.storage import Storage
    from app.signing.key_store import KeyStore
    from app.signing.service import signing_keys

    keep_files_private()
    settings = load_settings()
    make_data_dir(settings)
    store = KeyStore.of(Storage(settings.data_dir), settings)
    try:
        if rotate_first:
            store.rotate()
        found = signing_keys(store)
    except ServalError as error:
        raise CliError(error.detail) from error
    if json:
        print_json(found.model_dump())
        return
    typer.echo(f"{found.current.fingerprint}\n{found.current.pem}", nl=False)
    for key in found.earlier:
        typer.echo(f"earlier: {key.fingerprint}")

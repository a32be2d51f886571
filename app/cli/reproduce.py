"""`serval reproduce`: the paper's tables for any corpus."""

from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.api import DEFAULT_URL, PAGE, Api, Key, Url, path_to
from app.cli.corpus import the_id, upload
from app.cli.errors import CliError
from app.cli.output import Json, print_json
from app.cli.study_files import check_folder
from app.cli.study_following import finish, resumed
from app.cli.study_request import (
    PRESET,
    Architectures,
    Epsilons,
    Seeds,
    Trainings,
    audits,
    grid,
    preset_named,
    recipe,
    refuse_beside_resume,
)
from app.cli.train import NoWait, announce, given
from app.cli.writing import Force


def reproduce(
    *,
    corpus: Annotated[
        str | None,
        typer.Option(
            help="Id or name of the corpus; or a folder of recordings or its zip archive, which is"
            " uploaded first.",
        ),
    ] = None,
    architecture: Architectures = None,
    training: Trainings = None,
    epsilon: Epsilons = None,
    seed: Seeds = None,
    iterations: Annotated[
        int | None, typer.Option(help="Steps of each training.", show_default="as the preset has")
    ] = None,
    train_on: Annotated[
        list[str] | None,
        typer.Option(
            help="train, train+dev; once for each.", show_default="both, as the paper does"
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="A published method, from the list below; none for none.", show_default=PRESET
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Another field of all trainings, such as frames=128 or precision=bfloat16; once"
            " for each. It goes before the preset's, and the tables say so.",
        ),
    ] = None,
    audit: Annotated[
        str | None,
        typer.Option(
            "--audits",
            help="What each model is audited with: a preset of audits, from the list below.",
            show_default="fgsm, pgd steps=10, noise",
        ),
    ] = None,
    attack: Annotated[
        list[str] | None,
        typer.Option(
            help='Instead of a preset: "pgd steps=20", once for each. One without strengths has'
            " those of the study.",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Audit so many clips of a partition only.")
    ] = None,
    transfer: Annotated[
        bool | None,
        typer.Option(
            "--transfer/--no-transfer",
            help="Whether models are also attacked by way of each other.",
            show_default="if there are two",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the study.")] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="STUDY",
            help="Go on with this study instead: watch it, and try again what failed.",
        ),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write tables (Markdown, LaTeX, CSV, JSON) and figures (SVG, PNG) there.",
            show_default="the tables are printed",
        ),
    ] = None,
    force: Force = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would take, and begin nothing.")
    ] = False,
    no_wait: NoWait = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: Json = False,
) -> None:
    """Train and audit every model of the paper's tables on a corpus, and write the tables.

    Trainings that are there already are used again. Broken off, it goes on with --resume: trainings
    continue from their last checkpoints. Exit code 1: a cell did not come to its end.
    """
    asked = {
        **grid(architecture, training, epsilon, seed),
        **given({"iterations": iterations, "train_on": train_on or None, "limit": limit}),
        **given({"recipe": recipe(set_ or []), "audits": audits(audit, attack or [])}),
        **given({"transfer": transfer, "name": name}),
    }
    if resume is not None and dry_run:
        raise CliError("--dry-run is of a study to come: one that goes on has begun already.")
    if resume is not None:
        refuse_beside_resume({**given({"corpus": corpus, "preset": preset}), **asked})
    elif corpus is None:
        raise CliError("Say what to train on: --corpus, or --resume with a study of yours.")
    if into is not None:
        _refuse_to_leave_the_folder_empty({"--no-wait": no_wait, "--dry-run": dry_run})
        check_folder(into, force=force)
    with Api(url, key) as api:
        if resume is not None:
            study = resumed(api, resume)
        else:
            body = {
                "corpus": _corpus(api, corpus or "", dry_run=dry_run, silent=json),
                "preset": preset_named(PRESET if preset is None else preset),
                **asked,
            }
            if dry_run:
                _forecast(api, body, json=json)
                return
            study = api.post("/v1/studies", json=body)
        if no_wait:
            announce(study, json=json)
        else:
            finish(api, study, into, force=force, json=json)


def _refuse_to_leave_the_folder_empty(given: dict[str, bool]) -> None:
    """Refuse what leaves nothing to write: there are tables at a study's end.

    Raises:
        CliError: one of the options is given.
    """
    for option, there in given.items():
        if there:
            raise CliError(
                f"{option} and --into do not go together: tables are written at a study's end."
                " Leave one out; `serval study follow STUDY --into FOLDER` writes them later."
            )


def _corpus(api: Api, given: str, *, dry_run: bool, silent: bool) -> str:
    """The id of the corpus, which is uploaded if it is a path.

    A corpus that has the name of the folder already is taken: who runs the command again has it.
    """
    path = Path(given)
    if given.startswith("corpus_") or not path.exists():
        return the_id(api, given)
    name = path.resolve().stem
    there = [one for one in api.pages("/v1/corpora", limit=PAGE) if one["name"] == name]
    if there:
        found = the_id(api, name)
        typer.echo(
            f"{found}, which is called {name}, is taken for {given}, and nothing is uploaded:"
            f" {there[0]['clips']} clips of {there[0]['created_at'][:10]}. `serval corpus add"
            " --name` adds another.",
            err=True,
        )
        return found
    if dry_run:
        raise CliError(
            f"--dry-run uploads nothing, and no corpus is called {name}: add it with `serval corpus"
            f" add {given}`."
        )
    made = upload(api, path, {"name": name, "format": "auto"}, silent=silent)
    for warning in made["warnings"]:
        typer.echo(warning, err=True)
    return str(made["id"])


def _forecast(api: Api, body: dict[str, Any], *, json: bool) -> None:
    told = api.post(f"{path_to('studies')}?dry_run=true", json=body)
    if json:
        print_json(told)
        return
    time = (
        f"no training of {', '.join(told['unmeasured'])} has ended here to forecast by"
        if told["seconds"] is None
        else f"about {told['seconds'] / 3600:.1f} h of training with the workers that live now"
    )
    typer.echo(
        f"{told['cells']} trainings, of which {told['reused']} are there;"
        f" {told['iterations']:,} iterations, {time}; {told['audits']} audits, whose time is not"
        " in it"
    )

"""What is kept: over `down` and `up`, through a backup, and from one version to the next."""

import re

from tests.compose.checks.jobs import Made
from tests.compose.report import Failed, Report
from tests.compose.shell import run
from tests.compose.stack import Stack

NEXT_IMAGE = "serval:next"
NEXT = """\
FROM serval:0.1.0
RUN ["python", "-c", "print('the next version')"]
COPY next.py /srv/serval/app/migrations/versions/9999_next.py
"""
NEXT_MIGRATION = '''\
"""A migration that this version does not know."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = {head!r}


def upgrade() -> None:
    op.create_table("of_the_next_version", sa.Column("id", sa.Integer, primary_key=True))
'''


def documented(stack: Stack, heading: str) -> str:
    """The commands below a heading of docs/deployment.md, word for word.

    Raises:
        Failed: there is no such heading, or it has no commands.
    """
    text = (stack.folder / "docs/deployment.md").read_text()
    section = re.search(
        rf"^### {re.escape(heading)}\n(.*?)(?=^##|\Z)", text, re.DOTALL | re.MULTILINE
    )
    block = re.search(r"```sh\n(.*?)```", section[1], re.DOTALL) if section else None
    if block is None:
        raise Failed(f"docs/deployment.md has no commands below {heading!r}")
    return block[1]


def check(stack: Stack, report: Report, made: Made) -> None:
    with report.part("4. What is kept"):
        report.check("`down`, `up`", lambda: _down_and_up(stack, made))
        report.check("backup and restore into an empty stack", lambda: _backup(stack, made))
        report.check(
            "upgrade, and a downgrade is refused in one line", lambda: _upgrade(stack, made)
        )


def kept(stack: Stack, made: Made, *, through_proxy: bool = False) -> str:
    """What is there of what was made.

    Raises:
        Failed: something is not.
    """
    paths = (
        f"corpora/{made.corpus}",
        f"audits/{made.audit}",
        f"audits/{made.audit}/results",
        f"trainings/{made.training}",
        f"models/{made.model}",
        f"models/{made.model}/weights",
    )
    with stack.client(through_proxy=through_proxy) as client:
        missing = [path for path in paths if client.get(f"/v1/{path}").status_code != 200]
        counts = [
            len(client.get(f"/v1/{kind}").json()["data"])
            for kind in ("audits", "models", "corpora")
        ]
    if missing:
        raise Failed(f"gone: {', '.join(missing)}")
    return f"{counts[0]} audits, {counts[1]} models, {counts[2]} corpora; files of each"


def _down_and_up(stack: Stack, made: Made) -> str:
    before = kept(stack, made)
    stack.down(volumes=False)
    stack.up()
    if (after := kept(stack, made)) != before:
        raise Failed(f"{before} became {after}")
    return after


def _backup(stack: Stack, made: Made) -> str:
    before = kept(stack, made)
    stack.shell(documented(stack, "Backup with SQLite"))
    size = (stack.folder / "backup/data.tar.gz").stat().st_size
    stack.down()
    stack.shell(documented(stack, "Restore with SQLite"))
    if (after := kept(stack, made)) != before:
        raise Failed(f"{before} became {after}")
    return f"{size / 1e6:.1f} MB; {after}"


def _upgrade(stack: Stack, made: Made) -> str:
    """This version is the older one here: of the next there is only a migration more."""
    head = max(
        path.name[:4] for path in (stack.folder / "app/migrations/versions").glob("[0-9]*.py")
    )
    context = stack.folder / "next"
    context.mkdir()
    (context / "Dockerfile").write_text(NEXT)
    (context / "next.py").write_text(NEXT_MIGRATION.format(head=head))
    run("docker", "build", "--quiet", "--tag", NEXT_IMAGE, context)
    override = "services: {" + ", ".join(
        f"{name}: {{image: {NEXT_IMAGE}}}"
        for name in ("migrate", "api", "audits", "trainings", "reconciler")
    ) + "}\n"  # fmt: skip
    (stack.folder / "next.yml").write_text(override)
    files = ("--file", "docker-compose.yml", "--file", "next.yml")
    try:
        stack.compose(*files, "up", "--detach", "--wait", "--no-build")
        after = kept(stack, made)
        words = ("run", "--rm", "--no-TTY", "--no-deps", "migrate")
        refused = run(
            "docker", "compose", *words, cwd=stack.folder, env=stack.environment, may_fail=True
        )
        lines = [line for line in refused.stderr.splitlines() if "newer version" in line]
        if refused.returncode == 0 or len(lines) != 1:
            raise Failed(f"status {refused.returncode}: {refused.stderr[-500:]}")
    finally:
        stack.down()
        run("docker", "image", "rm", "--force", NEXT_IMAGE, may_fail=True)
    stack.shell(documented(stack, "Restore with SQLite"))
    return f"{after}; then: {lines[0][:160]}"

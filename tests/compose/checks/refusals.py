"""What is wrong is said in one clear line, and shows in `docker compose ps`."""

import re
from collections.abc import Mapping
from functools import partial

from tests.compose.report import Failed, Report, until
from tests.compose.stack import Stack

SHOWN = r"unhealthy|Restarting|Exited \([1-9]"
SHOWN_SECONDS = 200.0
REFUSED = (
    ("an unknown setting", "migrate", {"SERVAL_PREDICT_RAET": "1/minute"}, "SERVAL_PREDICT_RAET"),
    ("a GPU is asked for and absent", "api", {"SERVAL_DEVICE": "cuda"}, "SERVAL_DEVICE is 'cuda'"),
    (
        "Redis without its password",
        "audits",
        {"REDIS_PASSWORD_FILE": ""},
        "REDIS_URL is ",
    ),
)


def check(stack: Stack, report: Report) -> None:
    with report.part("6. What is wrong is said in one line, and `docker compose ps` shows it"):
        for claim, service, settings, line in REFUSED:
            report.check(claim, partial(_refused, stack, service, settings, line))
        report.check("a volume that cannot be written", lambda: _unwritable(stack))
        stack.write_env()
        stack.down()


def _refused(stack: Stack, service: str, settings: Mapping[str, str], line: str) -> str:
    stack.down(volumes=False)
    stack.write_env(**settings)
    return refused(stack, service, line)


def refused(stack: Stack, service: str, line: str, *words: str) -> str:
    """The line that the service says, and the state that it has.

    Raises:
        Failed: it says nothing of the kind, or looks well.
    """
    stack.compose(*words, "up", "--detach", may_fail=True)
    said: list[str] = []

    def told() -> bool:
        said[:] = [one for one in stack.logs(service).splitlines() if re.search(line, one)]
        return bool(said)

    until(told, 60, f"{service} says {line!r}; it says {stack.logs(service)[-300:]!r}")
    until(lambda: re.search(SHOWN, stack.state(service)), SHOWN_SECONDS,
          f"{service} looks wrong, not {stack.state(service)!r}", every=1)  # fmt: skip
    if "Traceback" in stack.logs(service):
        raise Failed("there is a traceback")
    return f"{service}, {stack.state(service)}: {said[0].strip()[:300]}"


def _unwritable(stack: Stack) -> str:
    """A folder of root's in place of the volume."""
    stack.down(volumes=False)
    stack.write_env()
    (stack.folder / "roots").mkdir(mode=0o755)
    (stack.folder / "roots.yml").write_text(
        "services:\n" + "".join(
            f"  {name}:\n    volumes: !override ['./roots:/data']\n"
            for name in ("migrate", "api", "audits", "trainings", "reconciler")
        )
    )  # fmt: skip
    files = ("--file", "docker-compose.yml", "--file", "roots.yml")
    return refused(stack, "migrate", "SERVAL_DATA_DIR is '/data', which cannot be written", *files)

"""Run the stack under Docker and check it from outside: `make test-compose`, as root.

For any Debian or Ubuntu machine. It uses the Docker engine that is there or brings Debian's, pulls
the public images or makes stand-ins, and removes what it made (KEEP_IMAGES=1 keeps the images).
Arguments choose parts, such as `kills stopping`; the order is always the same, and those of one
host begin with `readme` and `jobs`.
"""

import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.compose import stand_ins
from tests.compose.checks import jobs, keeping, kills, production, readme, refusals, stopping
from tests.compose.engine import engine
from tests.compose.report import Failed, Report
from tests.compose.shell import run
from tests.compose.stack import Stack

CACHE = Path("/var/cache/serval-test-compose")
"""Debian's engine as unpacked: 400 MB that the next run need not fetch again."""
PARTS = ("readme", "jobs", "kills", "keeping", "stopping", "refusals", "production")
IMAGE = "serval:0.1.0"


def main(arguments: Sequence[str]) -> int:
    chosen = set(arguments) or set(PARTS)
    if unknown := chosen - set(PARTS):
        sys.stderr.write(
            f"No such part: {', '.join(sorted(unknown))}. There are: {', '.join(PARTS)}.\n"
        )
        return 2
    if os.geteuid() != 0:
        sys.stderr.write("This needs root: it starts a Docker engine and builds images.\n")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # and clean up
    CACHE.mkdir(parents=True, exist_ok=True)
    report = Report()
    try:
        with (
            engine(CACHE) as described,
            tempfile.TemporaryDirectory(prefix="serval-compose-") as folder,
        ):
            report.say(f"Docker: {described}")
            way, made = stand_ins.provide(CACHE)
            report.say(f"Images: {way}")
            try:
                _checks(Path(folder), report, chosen)
            finally:
                _remove_images(made, keep="KEEP_IMAGES" in os.environ)
    except Failed as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return report.end()


def _checks(folder: Path, report: Report, chosen: set[str]) -> None:
    if chosen - {"production"}:
        _checks_on_one_host(Stack(folder / "one-host"), report, chosen)
    if "production" in chosen:
        production.check(folder / "production", report)


def _checks_on_one_host(stack: Stack, report: Report, chosen: set[str]) -> None:
    try:
        readme.check(stack, report)
        made = jobs.check(stack, report)
        if "kills" in chosen:
            kills.check(stack, report, made)
        if "keeping" in chosen:
            keeping.check(stack, report, made)
        if "stopping" in chosen:
            stopping.check(stack, report, made)
        if "refusals" in chosen:
            refusals.check(stack, report)
    finally:
        stack.down()


def _remove_images(made: Sequence[str], *, keep: bool) -> None:
    """What was made here; the cache of the builder holds the packages and goes too."""
    if not keep:
        run("docker", "image", "rm", "--force", IMAGE, *made, may_fail=True)
        run("docker", "builder", "prune", "--all", "--force", may_fail=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

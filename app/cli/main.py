"""The command `serval`: health checks at once, all other commands with what they import."""

import sys

from app.cli.health import at_once


def main() -> None:
    """Do what the arguments of this process say, and exit."""
    status = at_once(sys.argv[1:])
    if status is None:
        from app.cli.commands import run

        run()
    sys.exit(status)

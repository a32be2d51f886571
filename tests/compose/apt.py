"""Debian's packages, from the mirror that this machine is set to."""

from collections.abc import Sequence
from pathlib import Path

from tests.compose.report import Failed
from tests.compose.shell import run


def mirror() -> str:
    """The address of the Debian mirror of this machine's settings.

    Raises:
        Failed: there is none.
    """
    told = run("apt-get", "indextargets", "--format", "$(SITE) $(LABEL) $(ORIGIN)", may_fail=True)
    sites = [line.split(" ")[0] for line in told.stdout.splitlines() if "Debian" in line]
    named = [site for site in sites if not site.endswith("-security")]
    if not named:
        raise Failed("apt of this machine knows no Debian mirror: add one to its sources")
    return named[0]


def install(*packages: str) -> None:
    """Install packages into the system."""
    run("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *packages)


def download(suite: str | None, packages: Sequence[str], folder: Path) -> list[Path]:
    """The archives of packages, of a suite that this machine is not set to or of its own (None)."""
    folder.mkdir(parents=True, exist_ok=True)
    options = [] if suite is None else _other_suite(suite, folder)
    if suite is not None:
        run("apt-get", *options, "update", "--quiet")
    run("apt-get", *options, "download", *packages, cwd=folder)
    return sorted(folder.glob("*.deb"))


def _other_suite(suite: str, folder: Path) -> list[str]:
    """Options by which apt sees that suite alone, with lists of its own."""
    state = folder / "apt"
    (state / "lists/partial").mkdir(parents=True, exist_ok=True)
    (state / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
    sources = state / "sources.list"
    sources.write_text(f"deb {mirror()} {suite} main\n")
    settings = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": state / "lists",
        "Dir::Cache": state / "cache",
        "APT::Sandbox::User": "root",
    }
    return [word for name, value in settings.items() for word in ("--option", f"{name}={value}")]

"""The Docker engine: the one that is there, or Debian's, unpacked and started here.

Nothing is installed into the system but debootstrap and iptables: a machine that has no Docker has
none afterwards, and the unpacked packages stay in a cache folder for the next run.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.compose import apt
from tests.compose.report import Failed
from tests.compose.shell import run

OLDEST_COMPOSE = (2, 24)
SUITE = "trixie"
"""Of Debian; the older one has no compose 2."""
PACKAGES = ("docker.io", "docker-cli", "docker-buildx", "docker-compose", "containerd", "tini")
START_SECONDS = 60.0


def serves() -> bool:
    """Whether a daemon answers and compose is recent enough."""
    if shutil.which("docker") is None:
        return False
    if run("docker", "info", may_fail=True).returncode:
        return False
    said = run("docker", "compose", "version", "--short", may_fail=True)
    numbers = said.stdout.strip().lstrip("v").split(".")[:2]
    return said.returncode == 0 and tuple(int(number) for number in numbers) >= OLDEST_COMPOSE


@contextmanager
def engine(cache: Path) -> Iterator[str]:
    """A Docker engine, which ``docker`` on the PATH speaks to; gives its description.

    Raises:
        Failed: there is none, and none can be started.
    """
    if serves():
        yield f"the engine that is there, {_version()}"
        return
    root = _unpacked(cache)
    _use(root, cache)
    if serves():  # the daemon of an earlier run
        yield f"Debian's engine, started before, {_version()}"
        return
    log = cache / "dockerd.log"
    with log.open("ab") as output:
        command = ["dockerd", "--init-path", str(root / "usr/bin/tini-static")]
        daemon = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _wait(daemon, log)
        yield f"Debian's engine, started here, {_version()}"
    finally:
        daemon.terminate()
        daemon.wait(60)


def _version() -> str:
    server = run("docker", "version", "--format", "{{.Server.Version}}").stdout.strip()
    compose = run("docker", "compose", "version", "--short").stdout.strip()
    return f"{server}, compose {compose}"


def _wait(daemon: "subprocess.Popen[bytes]", log: Path) -> None:
    by = time.monotonic() + START_SECONDS
    while not serves():
        if daemon.poll() is not None or time.monotonic() > by:
            raise Failed(f"dockerd does not serve; the end of its log: {log.read_text()[-600:]}")
        time.sleep(0.5)


def _unpacked(cache: Path) -> Path:
    """The folder of the unpacked packages, made if it is not there."""
    root = cache / "engine"
    if not (root / "usr/sbin/dockerd").exists():
        unfinished = cache / "engine.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        archives = apt.download(SUITE, PACKAGES, cache / "packages")
        # runc alone is bound to the C library of its release.
        archives += apt.download(None, ("runc",), cache / "packages-here")
        for archive in archives:
            run("dpkg-deb", "--extract", archive, unfinished)
        apt.install("debootstrap", "iptables")
        unfinished.rename(root)
    return root


def _use(root: Path, cache: Path) -> None:
    """Put the unpacked programs on the PATH of this process and of all that it starts."""
    folders = [str(root / "usr/bin"), str(root / "usr/sbin")]
    os.environ["PATH"] = os.pathsep.join([*folders, os.environ["PATH"]])
    config = cache / "docker-config"
    config.mkdir(exist_ok=True)
    plugins = str(root / "usr/libexec/docker/cli-plugins")
    (config / "config.json").write_text(json.dumps({"cliPluginsExtraDirs": [plugins]}))
    os.environ["DOCKER_CONFIG"] = str(config)

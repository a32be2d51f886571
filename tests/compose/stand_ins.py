"""Images with the tags of the public ones, made of Debian's packages where no registry is reached.

They show that the stack runs, not that the public images do: those were built by others, otherwise.
Settings of pip and the machine's certificates go into the base, so that a build in it reaches what
this machine reaches.
"""

import os
import shutil
from pathlib import Path

import yaml

from tests.compose import apt
from tests.compose.engine import SUITE
from tests.compose.shell import run

ROOT = Path(__file__).resolve().parents[2]
CERTIFICATES = Path("etc/ssl/certs/ca-certificates.crt")
BASE_PACKAGES = "ca-certificates,python3,python3-venv"
ASIDE = Path(__file__).parent / "stand_ins"
"""The Dockerfiles of the others: what of the public image's behaviour the stack relies on."""


def base_image() -> str:
    """The default of ``BASE_IMAGE`` in the Dockerfile."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    return next(line.partition("=")[2] for line in lines if line.startswith("ARG BASE_IMAGE="))


def tags() -> dict[str, str]:
    """The tag that each service of others is of."""
    services: dict[str, str] = {}
    for name in ("docker-compose.yml", "compose.prod.yml"):
        text = (ROOT / name).read_text().replace("!reset", "")
        for service, content in yaml.safe_load(text)["services"].items():
            image = (content or {}).get("image", "")
            if image and not image.startswith("serval:"):
                services[service] = image
    return services


def provide(cache: Path) -> tuple[str, list[str]]:
    """Have every image that is built on or run; gives the way, and the tags that were made here."""
    wanted = [base_image(), *tags().values()]
    missing = [
        tag for tag in wanted if run("docker", "image", "inspect", tag, may_fail=True).returncode
    ]
    if not missing:
        return "images that are there", []
    if not run("docker", "pull", "--quiet", missing[0], seconds=300, may_fail=True).returncode:
        for tag in missing[1:]:
            run("docker", "pull", "--quiet", tag)
        return "images of their registry", missing
    if base_image() in missing:
        _import_base(cache)
    for service, tag in tags().items():
        if tag in missing:
            run("docker", "build", "--quiet", "--tag", tag, "--build-arg",
                f"BASE_IMAGE={base_image()}", ASIDE / service)  # fmt: skip
    return f"no registry is reached: stand-ins of Debian {SUITE}", missing


def _import_base(cache: Path) -> None:
    """Debian's own Python under the name of the public image."""
    root = cache / "base"
    shutil.rmtree(root, ignore_errors=True)
    apt.install("debootstrap")
    run("debootstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", SUITE, root, apt.mirror())
    shutil.copyfile(Path("/") / CERTIFICATES, root / CERTIFICATES)
    (root / "etc/pip.conf").write_text(_pip_settings())
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    shutil.rmtree(root / "var/cache/apt/archives")
    run("sh", "-c", f"tar -C '{root}' -c . | docker import - {base_image()}")
    shutil.rmtree(root)


def _pip_settings() -> str:
    """Those of this machine's pip that hold in a container too: addresses, not files."""
    lines = ["[global]", f"cert = /{CERTIFICATES}", "timeout = 180"]
    told = run("python3", "-m", "pip", "config", "list", may_fail=True).stdout
    for line in told.splitlines():
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2]
        addresses = [word for word in value.strip("'").split() if word.startswith("http")]
        if name in {"index-url", "extra-index-url", "proxy"} and addresses:
            lines.append(f"{name} = {' '.join(addresses)}")
        if name == "trusted-host":
            lines.append(f"{name} = {value.strip(chr(39))}")
    proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
    return "\n".join([*lines, *([f"proxy = {proxy}"] if proxy else []), ""])

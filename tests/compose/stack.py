"""A stack of this repository under docker compose, in a copy of the repository's files."""

import json
import secrets
import shutil
import socket
import ssl
from pathlib import Path
from typing import Any

import httpx

from tests.compose.report import Failed, until
from tests.compose.shell import run

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "serval-test"
SERVICES = ("valkey", "migrate", "api", "audits", "trainings", "reconciler")
LONG_RUNNING = ("valkey", "api", "audits", "trainings", "reconciler")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Stack:
    """Commands to one project of compose, and to its API.

    Args:
        folder: of the copy; made here.
        project: name of the project: of its containers, volumes and network.
        files: of compose, beside each other.
    """

    def __init__(
        self,
        folder: Path,
        *,
        project: str = PROJECT,
        files: tuple[str, ...] = ("docker-compose.yml",),
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.https_port = free_port()
        self.token = ""
        self.environment = {
            "COMPOSE_PROJECT_NAME": project,
            "COMPOSE_ANSI": "never",
            "COMPOSE_FILE": ":".join(files),
            "SERVAL_PORT": str(self.port),
            "HTTP_PORT": str(free_port()),
            "HTTPS_PORT": str(self.https_port),
        }
        _copy_of_the_repository(folder)
        self.write_env()

    # Compose

    def compose(self, *words: str, seconds: float = 300, may_fail: bool = False) -> str:
        """What `docker compose …` wrote on its standard output."""
        return run("docker", "compose", *words, cwd=self.folder, env=self.environment,
                   seconds=seconds, may_fail=may_fail).stdout  # fmt: skip

    def shell(self, script: str, seconds: float = 900) -> str:
        """What a script of the documentation writes, run in the copy as a person would."""
        return run("bash", "-euo", "pipefail", "-c", script, cwd=self.folder, env=self.environment,
                   seconds=seconds).stdout  # fmt: skip

    def up(self, *words: str) -> None:
        self.compose("up", "--detach", "--wait", *words)

    def down(self, *, volumes: bool = True) -> None:
        self.compose("down", "--timeout", "30", *(["--volumes"] if volumes else []))

    def containers(self, service: str) -> list[str]:
        """Ids of a service's containers, those that have ended too."""
        return self.compose("ps", "--all", "--quiet", service).split()

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows of the service's first container."""
        found = self.containers(service)
        if not found:
            raise Failed(f"{service} has no container")
        told: list[dict[str, Any]] = json.loads(run("docker", "inspect", found[0]).stdout)
        return told[0]

    def state(self, service: str) -> str:
        """As `docker compose ps` shows it."""
        return self.compose("ps", "--all", "--format", "{{.Status}}", service).strip()

    def healthy(self, service: str) -> bool:
        return "(healthy)" in self.state(service)

    def logs(self, service: str, since: str = "") -> str:
        words = ["logs", "--no-log-prefix", *(["--since", since] if since else []), service]
        done = run("docker", "compose", *words, cwd=self.folder, env=self.environment)
        return done.stdout + done.stderr

    def kill(self, service: str, number: int = 0) -> None:
        """Kill a container as a crash of its process would: at once. It starts again by itself
        only if compose is asked, for `docker kill` counts as a stop."""
        run("docker", "kill", self.containers(service)[number])

    def start(self, service: str) -> None:
        self.compose("start", service)

    # The API

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, *, through_proxy: bool = False, seconds: float = 90) -> httpx.Client:
        """One that has the key."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if not through_proxy:
            return httpx.Client(base_url=self.url, headers=headers, timeout=seconds)
        trusted = ssl.create_default_context(cafile=str(self.folder / "secrets/tls.crt"))
        return httpx.Client(
            base_url=f"https://localhost:{self.https_port}",
            headers=headers,
            timeout=seconds,
            verify=trusted,
        )

    def wait_until_ready(self, seconds: float = 90) -> float:
        """Seconds until /readyz answers 200 with a worker on each queue."""
        return until(self._ready, seconds, "/readyz says ready")

    def _ready(self) -> bool:
        try:
            answer = httpx.get(f"{self.url}/readyz", timeout=5)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and answer.json()["status"] == "ready"

    def write_env(self, **settings: str) -> None:
        """The .env of this stack."""
        # Several workers share the cores of this machine.
        lines = ["SERVAL_TORCH_THREADS=1", *(f"{name}={value}" for name, value in settings.items())]
        (self.folder / ".env").write_text("\n".join([*lines, ""]))

    def secret(self, name: str) -> str:
        return (self.folder / "secrets" / name).read_text().strip()


def new_password() -> str:
    return secrets.token_hex(24)


def _copy_of_the_repository(folder: Path) -> None:
    """The files under version control and those that could be, as they are now."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    # Whoever runs this may have a umask that lets no container read what is mounted from here.
    for path in (folder / "deploy").iterdir():
        path.chmod(0o644)

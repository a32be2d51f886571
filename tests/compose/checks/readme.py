"""README.md's lines as they stand, and what the containers may and may not do."""

import json
import re
import time
from functools import partial
from typing import Any

from tests.compose.report import Failed, Report
from tests.compose.shell import run
from tests.compose.stack import LONG_RUNNING, PROJECT, SERVICES, Stack

HEALTHY_SECONDS = 60.0
READY_SECONDS = 30.0
OWN_LAYERS_BYTES = 60_000_000


def commands(stack: Stack) -> list[str]:
    """The lines of README.md's block on containers."""
    text = (stack.folder / "README.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    block = next(block for block in blocks if "docker compose build" in block)
    return [line for line in block.splitlines() if line.strip()]


def check(stack: Stack, report: Report) -> None:
    with report.part("1. README.md's lines as they stand, and the containers"):
        for line in commands(stack):
            report.check(f"`{line.partition('#')[0].strip()}`", partial(_line, stack, line))
        report.check("every service healthy", lambda: _healthy(stack))
        report.check(
            f"ready after `up` on a built image (bar {READY_SECONDS:g} s)", lambda: _ready(stack)
        )
        report.check("no root, no capability, no new privileges", lambda: _unprivileged(stack))
        report.check("root file systems are read-only", lambda: _read_only(stack))
        report.check("memory, processes and logs are bounded", lambda: _bounded(stack))
        report.check("nothing but the API's loopback port is published", lambda: _published(stack))
        report.check(
            "no secret in inspect, history, arguments, environment, logs", lambda: _secrets(stack)
        )
        report.check("Valkey refuses who has no password", lambda: _valkey_password(stack))
        report.check("Valkey refuses dangerous commands", lambda: _valkey_commands(stack))
        report.check("one image, none without a name", lambda: _images(stack))


def _line(stack: Stack, line: str) -> str:
    said = stack.shell(line)
    if "keys create" in line:
        stack.token = said.strip().splitlines()[-1]
        if not stack.token.startswith("sk_"):
            raise Failed(f"the last line is no token: {said[-100:]}")
    return "exit status 0"


def _healthy(stack: Stack) -> str:
    states = {service: stack.state(service) for service in LONG_RUNNING}
    bad = {service: state for service, state in states.items() if "(healthy)" not in state}
    if bad or "Exited (0)" not in stack.state("migrate"):
        raise Failed(f"{bad or stack.state('migrate')}")
    return f"{len(states)} of {len(states)}, and `migrate` has ended with 0"


def _ready(stack: Stack) -> str:
    stack.down(volumes=False)
    began = time.monotonic()
    stack.compose("up", "--detach")
    stack.wait_until_ready()
    seconds = time.monotonic() - began
    stack.up()
    whole = time.monotonic() - began
    if whole > HEALTHY_SECONDS:
        raise Failed(f"healthy only after {whole:.1f} s, the bar is {HEALTHY_SECONDS:g} s")
    if seconds > READY_SECONDS:
        raise Failed(f"ready only after {seconds:.1f} s")
    return f"ready {seconds:.1f} s, `up --wait` {whole:.1f} s"


def _each(stack: Stack) -> dict[str, dict[str, Any]]:
    return {service: stack.inspect(service) for service in SERVICES}


def _unprivileged(stack: Stack) -> str:
    users = {}
    for service, told in _each(stack).items():
        if told["HostConfig"]["CapDrop"] != ["ALL"]:
            raise Failed(f"{service} drops {told['HostConfig']['CapDrop']}")
        if "no-new-privileges:true" not in told["HostConfig"]["SecurityOpt"]:
            raise Failed(f"{service} may gain privileges")
        if service == "migrate":
            continue
        status = stack.compose("exec", "--no-TTY", service, "cat", "/proc/self/status")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        users[service] = fields["Uid"].split()[0]
        if users[service] == "0" or int(fields["CapBnd"], 16) or fields["NoNewPrivs"] != "1":
            raise Failed(f"{service}: uid {users[service]}, CapBnd {fields['CapBnd']}")
    return "uid " + ", ".join(f"{uid} ({service})" for service, uid in users.items())


def _read_only(stack: Stack) -> str:
    for service, told in _each(stack).items():
        if not told["HostConfig"]["ReadonlyRootfs"]:
            raise Failed(f"{service} may write")
    for service in LONG_RUNNING:
        for folder in ("/srv", "/usr", "/etc"):
            words = ("exec", "--no-TTY", service, "sh", "-c", f"touch {folder}/x 2>&1; echo")
            if "ead-only file system" not in stack.compose(*words):
                raise Failed(f"{service} may write to {folder}")
    return f"{len(SERVICES)} services"


def _bounded(stack: Stack) -> str:
    for service, told in _each(stack).items():
        host = told["HostConfig"]
        if (
            not host["Memory"]
            or not host["PidsLimit"]
            or "max-size" not in host["LogConfig"]["Config"]
        ):
            raise Failed(f"{service}: {host['Memory']}, {host['PidsLimit']}, {host['LogConfig']}")
    return f"{len(SERVICES)} services"


def _published(stack: Stack) -> str:
    published = {
        service: [f"{one['HostIp']}:{one['HostPort']}" for one in bound or []]
        for service, told in _each(stack).items()
        for bound in told["NetworkSettings"]["Ports"].values()
        if bound
    }
    if published != {"api": [f"127.0.0.1:{stack.port}"]}:
        raise Failed(f"published: {published}")
    return f"{published['api'][0]}"


def _secrets(stack: Stack) -> str:
    hidden = {"key": stack.token}
    hidden |= {name: stack.secret(name) for name in ("redis_password", "postgres_password")}
    places = {
        "inspect": json.dumps(_each(stack)),
        "history": run("docker", "history", "--no-trunc", "serval:0.1.0").stdout,
        "logs": stack.compose("logs"),
        "processes": "".join(_processes(stack, service) for service in LONG_RUNNING),
    }
    found = [
        f"{name} in {place}" for name, secret in hidden.items() for place, text in places.items()
        if secret in text
    ]  # fmt: skip
    if found:
        raise Failed(", ".join(found))
    return (
        f"{len(hidden)} secrets, {sum(len(text) for text in places.values())} characters looked at"
    )


def _processes(stack: Stack, service: str) -> str:
    """Arguments and environment of every process of the service."""
    script = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'; true"
    return stack.compose("exec", "--no-TTY", service, "sh", "-c", script)


def _valkey_password(stack: Stack) -> str:
    said = stack.compose("exec", "--no-TTY", "valkey", "valkey-cli", "ping", may_fail=True)
    if "NOAUTH" not in said:
        raise Failed(f"it said {said!r}")
    return said.strip()


def _valkey_commands(stack: Stack) -> str:
    commands = (
        "flushall",
        "config get *",
        "keys *",
        "bgsave",
        "shutdown",
        "acl list",
        "monitor",
    )
    for command in commands:
        script = (
            f"REDISCLI_AUTH=$(cat /run/secrets/redis_password) valkey-cli {command} 2>&1 </dev/null"
        )
        said = stack.compose("exec", "--no-TTY", "valkey", "sh", "-fc", script, may_fail=True)
        if "NOPERM" not in said:
            raise Failed(f"{command}: {said[:200]!r}")
    return f"{len(commands)} of {len(commands)}"


def _images(stack: Stack) -> str:
    ours = f"label=com.docker.compose.project={PROJECT}"
    filters = ("--filter", "dangling=true", "--filter", ours)
    dangling = run("docker", "images", "--quiet", *filters).stdout.split()
    if dangling:
        raise Failed(f"{len(dangling)} images without a name")
    form = ("--human=false", "--format", "{{.Size}} {{.CreatedBy}}")
    lines = run("docker", "history", *form, "serval:0.1.0").stdout.splitlines()
    sizes = [(int(line.split(" ", 1)[0]), line) for line in lines]
    packages = next(
        index for index, (_, line) in enumerate(sizes) if "/opt/serval /opt/serval" in line
    )
    own = sum(size for size, _ in sizes[:packages])
    whole = sum(size for size, _ in sizes)
    if own > OWN_LAYERS_BYTES:
        raise Failed(f"own layers {own / 1e6:.1f} MB")
    packed = sizes[packages][0] / 1e9
    return f"own layers {own / 1e6:.1f} MB, packages {packed:.2f} GB, all {whole / 1e9:.2f} GB"

"""Run the tests against a real PostgreSQL and a real Redis: `make test-services`.

Both are started on free ports in a temporary folder and stopped at the end, however that comes.
The tests see the difference in DATABASE_URL and REDIS_URL alone. Arguments go to pytest.
"""

import contextlib
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil
import psycopg

ROOT = Path(__file__).resolve().parent.parent
POSTGRES_MAJOR = 15
REDIS_MAJOR = 7
User = pwd.struct_passwd
Process = subprocess.Popen[bytes]
START_SECONDS = 30.0
STOP_SECONDS = 15.0
REMEDY = "On Debian 12 or later: apt-get install --no-install-recommends postgresql redis-server"


class ServiceError(Exception):
    """A service is absent, too old, or did not start; the message says what to do."""


def main(arguments: Sequence[str]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with contextlib.ExitStack() as stack:
            postgres = postgres_binaries()
            redis = redis_binary()
            folder = stack.enter_context(temporary_folder())
            urls = {
                "DATABASE_URL": stack.enter_context(postgresql(postgres, folder / "postgres")),
                "REDIS_URL": stack.enter_context(redis_server(redis, folder / "redis")),
            }
            return run_pytest(arguments, urls)
    except ServiceError as error:
        sys.stderr.write(f"{error}\n")
        return 2


def run_pytest(arguments: Sequence[str], urls: Mapping[str, str]) -> int:
    sys.stdout.write("".join(f"{name}={url}\n" for name, url in urls.items()))
    sys.stdout.flush()
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | urls, check=False).returncode


def postgres_binaries() -> Path:
    """The folder with the newest PostgreSQL's programs; Debian keeps them off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=_major_of_folder)
    on_path = shutil.which("postgres")
    program = found[-1] if found else Path(on_path) if on_path else None
    if program is None:
        raise ServiceError(f"PostgreSQL {POSTGRES_MAJOR} or later is not installed. {REMEDY}")
    require_version(program, POSTGRES_MAJOR)
    return program.parent


def _major_of_folder(program: Path) -> int:
    name = program.parent.parent.name
    return int(name) if name.isdigit() else 0


def redis_binary() -> Path:
    program = shutil.which("redis-server")
    if program is None:
        raise ServiceError(f"Redis {REDIS_MAJOR} or later is not installed. {REMEDY}")
    require_version(Path(program), REDIS_MAJOR)
    return Path(program)


def require_version(program: Path, major: int) -> None:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"(\d+)\.\d+", said)
    if version is None or int(version[1]) < major:
        raise ServiceError(
            f"{program} is {said.strip()!r}, but {major} or later is needed. {REMEDY}"
        )


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="serval-services-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the PostgreSQL of another user passes through
        yield folder


class PostgreSQL:
    """A server on a port that stays, with an empty database of its own.

    Args:
        binaries: the folder of its programs.
        folder: where its files will be.
        network: whose hosts may connect, too.
        connections: how many it takes.

    Raises:
        ServiceError: the database cannot be made.
    """

    def __init__(
        self, binaries: Path, folder: Path, *, network: str | None = None, connections: int = 200
    ) -> None:
        self._user = unprivileged_user()
        folder.mkdir()
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        data, self._log, self._port = folder / "data", folder / "postgres.log", free_port()
        initdb = (
            f"{binaries}/initdb -D {data} -U serval -A trust -E UTF8 --locale=C.UTF-8 --no-sync"
        )
        if start(initdb, self._log, self._user).wait() != 0:
            raise ServiceError(f"{initdb} failed:\n{self._log.read_text()}")
        address = "127.0.0.1"
        if network is not None:
            address = "0.0.0.0"
            with (data / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {network} trust\n")
        # Nothing here outlives the tests, so nothing waits for the disk.
        self._command = (
            f"{binaries}/postgres -D {data} -k {folder} -h {address} -p {self._port} -F"
            f" -N {connections}"
        )
        self._server: Process | None = None
        self.url = f"postgresql://serval@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Return when it takes connections.

        Raises:
            ServiceError: it does not start.
        """
        self._server = start(self._command, self._log, self._user)
        wait_for(self._server, self._port, self._log)
        until = time.monotonic() + START_SECONDS
        while True:  # it listens before it has read its files
            try:
                psycopg.connect(self.url).close()
            except psycopg.OperationalError as error:
                if time.monotonic() > until:
                    raise ServiceError(f"PostgreSQL takes no connections: {error}") from error
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Its fast shutdown, which does not wait for clients to leave."""
        if self._server is not None:
            end(self._server, signal.SIGINT)

    def kill(self) -> None:
        """Kill all its processes, in mid-work."""
        assert self._server is not None
        server = psutil.Process(self._server.pid)
        server.suspend()  # else it would make new ones, and restart by itself
        for process in [*server.children(recursive=True), server]:
            process.kill()
        self._server.wait()


@contextlib.contextmanager
def postgresql(binaries: Path, folder: Path, *, network: str | None = None) -> Iterator[str]:
    """A PostgreSQL that runs while the block does; gives its URL."""
    server = PostgreSQL(binaries, folder, network=network)
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


@contextlib.contextmanager
def redis_server(program: Path, folder: Path) -> Iterator[str]:
    """A Redis with an append-only file, as in production; gives its URL."""
    folder.mkdir()
    port = free_port()
    server = f"{program} --port {port} --bind 127.0.0.1 --dir {folder} --save '' --appendonly yes"
    with running(server, folder / "redis.log", port, signal.SIGTERM):
        yield f"redis://127.0.0.1:{port}/0"


@contextlib.contextmanager
def running(command: str, log: Path, port: int, stop: signal.Signals) -> Iterator[None]:
    """A server that answers on ``port`` while the block runs."""
    server = start(command, log, None)
    try:
        wait_for(server, port, log)
        yield
    finally:
        end(server, stop)


def end(server: Process, stop: signal.Signals) -> None:
    """Ask it to stop, and see to it that it does."""
    server.send_signal(stop)
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def start(command: str, log: Path, user: User | None) -> Process:
    with log.open("a") as output:
        return subprocess.Popen(
            shlex.split(command),
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            start_new_session=True,  # Ctrl-C reaches the tests first, then we stop the server
            user=user and user.pw_uid,
            group=user and user.pw_gid,
            extra_groups=None if user is None else [],
        )


def wait_for(server: Process, port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    state = (
        f"ended with {server.returncode}" if server.returncode is not None else "does not answer"
    )
    raise ServiceError(f"{server.args!r} {state} on port {port}:\n{log.read_text()}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def unprivileged_user() -> User | None:
    """Who PostgreSQL runs as: it refuses to run as root. None is the present user."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise ServiceError("PostgreSQL does not run as root, and there is no user postgres or nobody.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

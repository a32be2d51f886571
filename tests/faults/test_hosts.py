"""Workers on three hosts: one is cut off from Redis or PostgreSQL, or lost with all that ran on it.

The hosts are network namespaces on a bridge of this machine, which share its file system as hosts
share a network file system. Root is needed to make them, and PostgreSQL.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from app.corpora.tables import Corpus
from app.jobs.states import JobStatus
from app.migrations import upgrade
from tests import services
from tests.faults.conftest import TINY
from tests.faults.shared_audits import Auditors, made, under_way
from tests.faults.stack import Process, Stack
from tests.speechless import add_corpus, manifest

NETWORK = "10.213.77"
REDIS, POSTGRESQL = f"{NETWORK}.2", f"{NETWORK}.3"
BRIDGE = "svbr77"
ATTACKS = [{"type": "pgd", "epsilon": [0.05], "steps": 40}]
PATIENCE = 400.0
NOWHERE = "02:00:00:00:77:77"
"""The hardware address of no host: what is sent there is lost without a word."""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Host:
    """A network namespace with an address of its own, and the audit worker that runs in it."""

    def __init__(self, stack: Stack, number: int) -> None:
        self._stack = stack
        self.name = f"serval{number}"
        self._outside = f"svh{number}"
        ip("netns", "add", self.name)
        ip("link", "add", self._outside, "type", "veth", "peer", "eth0", "netns", self.name)
        ip("link", "set", self._outside, "master", BRIDGE, "up")
        self._inside("addr", "add", f"{NETWORK}.{10 + number}/24", "dev", "eth0")
        self._inside("link", "set", "eth0", "up")
        self._inside("link", "set", "lo", "up")
        self.worker = self._start()

    def _inside(self, *words: str) -> None:
        ip("-n", self.name, *words)

    def _start(self) -> Process:
        command = ["ip", "netns", "exec", self.name, sys.executable]
        worker = Process(
            [*command, "-m", "tests.faults.with_tiny", "workers", "audits"],
            self._stack.env | {"SERVAL_AUDIT_SHARD_PASSES": "1"},
            self._stack.folder / f"{self.name}.log",
        )
        self._stack.processes.append(worker)
        return worker

    def cut_off(self, address: str) -> None:
        """Let nothing that it sends arrive at that address."""
        self._inside(
            "neigh", "replace", address, "lladdr", NOWHERE, "dev", "eth0", "nud", "permanent"
        )

    def join(self, address: str) -> None:
        """The opposite."""
        self._inside("neigh", "del", address, "dev", "eth0")

    def lose(self) -> None:
        """Its power is cut: nothing is said, and nothing is closed."""
        ip("link", "set", self._outside, "down")
        self.worker.send(signal.SIGKILL)

    def remove(self) -> None:
        self.worker.end()
        ip("link", "del", self._outside)  # that of the namespace would go some time after it
        ip("netns", "del", self.name)


@pytest.fixture(scope="module")
def network() -> Iterator[None]:
    """A bridge with the addresses of Redis and PostgreSQL."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("hosts are network namespaces: this needs root and iproute2")
    try:
        ip("link", "add", BRIDGE, "type", "bridge")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no bridge can be made here: {error.stderr.decode().strip()}")
    try:
        for address in (REDIS, POSTGRESQL):
            ip("addr", "add", f"{address}/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        yield
    finally:
        ip("link", "del", BRIDGE)


@pytest.fixture(scope="module")
def stack(network: None) -> Iterator[Stack]:
    """API and reconciler on this host; Redis and PostgreSQL on addresses of their own."""
    try:
        binaries = services.postgres_binaries()
    except services.ServiceError as error:
        pytest.skip(str(error))
    with (
        services.temporary_folder() as folder,
        services.postgresql(binaries, folder / "postgres", network=f"{NETWORK}.0/24") as local,
    ):
        url = local.replace("127.0.0.1", POSTGRESQL)
        upgrade(url)
        stack = Stack(folder, url, REDIS)
        try:
            stack.valkey.start()
            stack.start_api(stack.port)
            stack.start_python("reconciler", "workers.runtime.reconcile")
            trainer = stack.start_worker()
            stack.wait_for_api(stack.port)
            stack.wait_for_worker(trainer)
            yield stack
        finally:
            stack.end()


@pytest.fixture(scope="module")
def corpus(stack: Stack) -> Corpus:
    with stack.sessions() as session:
        return add_corpus(session, stack.storage, manifest(takes=6))


@pytest.fixture(scope="module")
def body(stack: Stack, corpus: Corpus) -> dict[str, Any]:
    """Of the audit, whose model was trained just now."""
    job_id = stack.submit(**TINY, corpus=corpus.id, iterations=2)
    trained = stack.until_status(job_id, JobStatus.SUCCEEDED, seconds=PATIENCE)
    return {"model": trained.model, "corpus": corpus.id, "partition": "all", "attacks": ATTACKS}


@pytest.fixture
def hosts(stack: Stack) -> Iterator[list[Host]]:
    hosts: list[Host] = []
    try:
        for number in range(3):
            hosts.append(Host(stack, number))  # noqa: PERF401  (what was made is removed)
        for host in hosts:
            stack.wait_for_worker(host.worker)
        yield hosts
        stack.cancel_all()
    finally:
        for host in hosts:
            host.remove()


@pytest.fixture
def auditors(stack: Stack, hosts: list[Host]) -> Auditors:
    auditors = Auditors(stack)
    auditors.workers = [host.worker for host in hosts]
    return auditors


def of(hosts: list[Host], worker: Process) -> Host:
    return next(host for host in hosts if host.worker is worker)


def submitted(stack: Stack, body: dict[str, Any]) -> list[str]:
    """Two audits of which each is accepted, the first one under way."""
    audits = [stack.submit("/v1/audits", **body) for _ in range(2)]
    under_way(stack, audits[0])
    return audits


def check_all_reach_the_same_result(stack: Stack, audits: list[str]) -> None:
    first, *others = [made(stack, job_id) for job_id in audits]
    assert all(other == first for other in others)


class TestPartitions:
    def test_between_redis_and_the_host_that_holds_an_audit(
        self, stack: Stack, hosts: list[Host], auditors: Auditors, body: dict[str, Any]
    ) -> None:
        audits = submitted(stack, body)
        holder = of(hosts, auditors.holder(audits[0]))
        holder.cut_off(REDIS)
        check_all_reach_the_same_result(stack, audits)
        assert stack.row(audits[0]).attempt == 1, "an audit under way needs no Redis"
        holder.join(REDIS)
        later = stack.submit("/v1/audits", **body)
        check_all_reach_the_same_result(stack, [*audits, later])
        assert all(host.worker.running for host in hosts)

    def test_between_postgresql_and_the_host_that_holds_an_audit(
        self, stack: Stack, hosts: list[Host], auditors: Auditors, body: dict[str, Any]
    ) -> None:
        audits = submitted(stack, body)
        holder = of(hosts, auditors.holder(audits[0]))
        holder.cut_off(POSTGRESQL)
        check_all_reach_the_same_result(stack, audits)
        assert stack.row(audits[0]).attempt == 2, "another host has taken it over"
        holder.join(POSTGRESQL)
        later = stack.submit("/v1/audits", **body)
        check_all_reach_the_same_result(stack, [*audits, later])

    def test_between_postgresql_and_a_host_that_helps(
        self, stack: Stack, hosts: list[Host], auditors: Auditors, body: dict[str, Any]
    ) -> None:
        audits = submitted(stack, body)
        helper = of(hosts, auditors.helper(audits[0]))
        helper.cut_off(POSTGRESQL)
        check_all_reach_the_same_result(stack, audits)
        helper.join(POSTGRESQL)


class TestLostHost:
    def test_every_accepted_audit_reaches_its_result(
        self, stack: Stack, hosts: list[Host], auditors: Auditors, body: dict[str, Any]
    ) -> None:
        audits = submitted(stack, body)
        of(hosts, auditors.holder(audits[0])).lose()
        check_all_reach_the_same_result(stack, audits)

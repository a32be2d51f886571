"""compose.prod.yml: PostgreSQL, TLS, two APIs and two audit workers."""

import time
from pathlib import Path

import httpx

from tests.compose.checks import jobs, keeping, kills
from tests.compose.checks.jobs import Made
from tests.compose.checks.refusals import refused
from tests.compose.report import Failed, Report, until
from tests.compose.stack import PROJECT, Stack, new_password

FILES = ("docker-compose.yml", "compose.prod.yml")
RATE = 20


def check(folder: Path, report: Report) -> None:
    stack = Stack(folder, project=f"{PROJECT}-prod", files=FILES)
    made = Made()
    try:
        with report.part("7. compose.prod.yml: PostgreSQL, TLS, two APIs, two audit workers"):
            began = time.monotonic()
            stack.shell(keeping.documented(stack, "Passwords and a certificate to try it with"))
            report.check("up, as docs/deployment.md says", lambda: _up(stack, began))
            report.check("TLS, and HTTP leads to it", lambda: _tls(stack))
            report.check("a prediction and an audit through the proxy", lambda: _use(stack, made))
            report.check("a rate is one over both APIs", lambda: _rate(stack))
            report.check("one API killed, no prediction fails", lambda: _kill_one_api(stack))
            report.check(
                "postgres killed with an audit running", lambda: _kill_postgres(stack, made)
            )
            report.check("backup and restore into an empty stack", lambda: _backup(stack, made))
            report.check("a wrong database password", lambda: _wrong_password(stack))
    finally:
        stack.down()


def _up(stack: Stack, began: float) -> str:
    stack.shell(keeping.documented(stack, "A key, and up"))
    stack.token = (stack.folder / "key").read_text().strip()
    return f"{time.monotonic() - began:.0f} s after the first command, the build included"


def _tls(stack: Stack) -> str:
    with stack.client(through_proxy=True) as client:
        answer = client.get("/readyz")
    port = stack.environment["HTTP_PORT"]
    plain = httpx.get(f"http://localhost:{port}/v1/models")
    if answer.status_code != 200 or plain.status_code != 308:
        raise Failed(f"{answer.status_code} {answer.text[:200]}, {plain.status_code}")
    return f"{answer.http_version}, 308 to {plain.headers['Location']}"


def _use(stack: Stack, made: Made) -> str:
    with stack.client(through_proxy=True) as client:
        answer = jobs.predict(client)
        if answer.status_code != 200:
            raise Failed(answer.text[:300])
        jobs.import_corpus(client, made)
        made.audit = jobs.submit_audit(client, made.corpus)
        made.training = jobs.submit_training(client, made.corpus)
        jobs.wait_for(client, made.audit)
        made.model = str(jobs.wait_for(client, made.training)["model"])
    return f"{answer.json()['label']}; {made.audit} and {made.training} succeeded"


def _rate(stack: Stack) -> str:
    """With a rate of 20 a minute, 45 calls on both APIs give 20 answers."""
    stack.write_env(SERVAL_PREDICT_RATE=f"{RATE}/minute")
    stack.up("--scale", "api=2", "--scale", "audits=2")
    time.sleep(60 - time.time() % 60)
    with stack.client(through_proxy=True) as client:
        answers = [jobs.predict(client).status_code for _ in range(45)]
    stack.write_env()
    stack.up("--scale", "api=2", "--scale", "audits=2")
    good, refused_ = answers.count(200), answers.count(429)
    if (good, refused_) != (RATE, len(answers) - RATE):
        raise Failed(f"{good} answers and {refused_} times 429 of {len(answers)}")
    return f"{good} of {len(answers)} answered, {refused_} times 429"


def _kill_one_api(stack: Stack) -> str:
    with kills.predicting(stack, through_proxy=True, clients=4) as tally:
        time.sleep(3)
        stack.kill("api", 1)
        time.sleep(10)
    stack.start("api")
    until(lambda: stack.state("api").count("(healthy)") == 2, 120, "both APIs are healthy")
    if tally.failed:
        raise Failed(f"{tally.failed} of {tally.asked} failed: {tally.last}")
    return f"0 of {tally.asked} failed"


def _kill_postgres(stack: Stack, made: Made) -> str:
    with stack.client(through_proxy=True) as client:
        audit = jobs.submit_audit(client, made.corpus, steps=kills.LONG_AUDIT_STEPS)
        until(lambda: jobs.running(client, audit), 60, "the audit runs")
        stack.kill("postgres")
        time.sleep(5)
        stack.start("postgres")
        ended = jobs.wait_for(client, audit)
    return f"succeeded on attempt {ended['attempt']}"


def _backup(stack: Stack, made: Made) -> str:
    before = keeping.kept(stack, made, through_proxy=True)
    stack.shell(keeping.documented(stack, "Backup with PostgreSQL"))
    stack.down()
    stack.shell(keeping.documented(stack, "Restore with PostgreSQL"))
    if (after := keeping.kept(stack, made, through_proxy=True)) != before:
        raise Failed(f"{before} became {after}")
    return after


def _wrong_password(stack: Stack) -> str:
    stack.down(volumes=False)
    (stack.folder / "secrets/postgres_password").write_text(new_password())
    return refused(stack, "migrate", "DATABASE_URL is .*password authentication failed")

"""What users do: a prediction, a corpus, audits on two workers, a training, its model, a report."""

from dataclasses import dataclass
from typing import Any

import httpx

from tests.compose import speech
from tests.compose.report import Failed, Report, until
from tests.compose.stack import Stack

MODEL = "cnn4-single-cremad"
JOB_SECONDS = 600.0


@dataclass
class Made:
    """What later checks go on with."""

    corpus: str = ""
    audit: str = ""
    training: str = ""
    model: str = ""


def check(stack: Stack, report: Report) -> Made:
    made = Made()
    with report.part("2. What users do"), stack.client() as client:
        report.check("without a key 401", lambda: _anonymous(stack))
        report.check("a prediction", lambda: _predict(client, MODEL))
        report.check("a corpus", lambda: import_corpus(client, made))
        report.check("two audits on two workers at once", lambda: _two_audits(stack, client, made))
        report.check("a training of 20 iterations", lambda: _training(client, made))
        report.check("a prediction of the new model", lambda: _predict(client, made.model))
        report.check("the audit's report and artifacts", lambda: _report(client, made))
    return made


def _anonymous(stack: Stack) -> str:
    answer = httpx.post(f"{stack.url}/v1/predict", content=speech.clip())
    if answer.status_code != 401:
        raise Failed(f"{answer.status_code}")
    return "401"


def predict(client: httpx.Client, model: str = MODEL) -> httpx.Response:
    headers = {"Content-Type": "audio/wav"}
    return client.post(
        "/v1/predict", params={"model": model}, content=speech.clip(), headers=headers
    )


def _predict(client: httpx.Client, model: str) -> str:
    seconds = []
    for _ in range(10):
        answer = predict(client, model)
        _expect(answer, 200)
        seconds.append(answer.elapsed.total_seconds())
    return f"{answer.json()['label']}; 10 calls, median {sorted(seconds)[5] * 1000:.0f} ms"


def import_corpus(client: httpx.Client, made: Made) -> str:
    files = {"file": ("speech.zip", speech.corpus(), "application/zip")}
    answer = client.post(
        "/v1/corpora", files=files, data={"request": '{"name":"speech","format":"index"}'}
    )
    made.corpus = str(_expect(answer, 201)["id"])
    return f"imported in {answer.elapsed.total_seconds():.2f} s"


def submit_audit(client: httpx.Client, corpus: str, steps: int = 5, **more: Any) -> str:
    """The id of an audit that is accepted: FGSM, PGD and the control."""
    attacks = [
        {"type": "fgsm", "epsilon": [0.02]},
        {"type": "pgd", "epsilon": [0.02], "steps": steps},
        {"type": "noise", "epsilon": [0.02]},
    ]
    request = {
        "model": MODEL,
        "corpus": corpus,
        "partition": "test",
        "limit": 6,
        "attacks": attacks,
        **more,
    }
    return str(_expect(client.post("/v1/audits", json=request), 202)["id"])


def submit_training(client: httpx.Client, corpus: str, iterations: int = 20) -> str:
    """The id of a training that is accepted."""
    request = {
        "name": "try",
        "corpus": corpus,
        "defense": {"type": "single"},
        "iterations": iterations,
        "batch_size": 4,
        "frames": 64,
        "evaluate_every": 10,
    }
    return str(_expect(client.post("/v1/trainings", json=request), 202)["id"])


def job(client: httpx.Client, job_id: str) -> dict[str, Any]:
    return _expect(client.get(_path(job_id)), 200)


def _path(job_id: str) -> str:
    kind = "audits" if job_id.startswith("audit") else "trainings"
    return f"/v1/{kind}/{job_id}"


def wait_for(client: httpx.Client, job_id: str, seconds: float = JOB_SECONDS) -> dict[str, Any]:
    """The job when it has succeeded.

    Raises:
        Failed: it ended otherwise, or not within ``seconds``.
    """
    seen: dict[str, Any] = {}

    def ended() -> bool:
        nonlocal seen
        try:
            answer = client.get(_path(job_id))
        except httpx.HTTPError:
            return False
        if answer.status_code == 503:  # what it needs is away just now, and comes back
            return False
        seen = _expect(answer, 200)
        return seen["status"] not in {"queued", "running"}

    try:
        until(ended, seconds, f"{job_id} has ended", every=0.5)
    except Failed as error:
        raise Failed(f"{error}; it is {seen.get('status')}, {seen.get('progress')}") from None
    if seen["status"] != "succeeded":
        raise Failed(f"{job_id} is {seen['status']}: {seen.get('error')}")
    return seen


def running(client: httpx.Client, job_id: str) -> bool:
    return bool(job(client, job_id)["status"] == "running")


def _two_audits(stack: Stack, client: httpx.Client, made: Made) -> str:
    stack.up("--no-recreate", "--scale", "audits=2")
    first, second = (submit_audit(client, made.corpus, seed=seed) for seed in (1, 2))
    both = until(lambda: running(client, first) and running(client, second), 60, "both run")
    ended = [wait_for(client, one) for one in (first, second)]
    made.audit = first
    stack.up("--no-recreate", "--scale", "audits=1")
    return f"both ran after {both:.1f} s; {ended[0]['result']['n']} clips each"


def _training(client: httpx.Client, made: Made) -> str:
    made.training = submit_training(client, made.corpus)
    made.model = str(wait_for(client, made.training)["model"])
    return made.model


def _report(client: httpx.Client, made: Made) -> str:
    found = {}
    for name in ("report", "results", "artifacts"):
        answer = client.get(f"/v1/audits/{made.audit}/{name}")
        _expect(answer, 200)
        found[name] = len(answer.content)
    return ", ".join(f"{name} {size} bytes" for name, size in found.items())


def _expect(answer: httpx.Response, status: int) -> dict[str, Any]:
    if answer.status_code != status:
        asked = f"{answer.request.method} {answer.request.url.path}"
        raise Failed(f"{asked} answered {answer.status_code}: {answer.text[:300]}")
    content: dict[str, Any] = answer.json()
    return content

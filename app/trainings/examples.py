"""Examples of trainings for the OpenAPI document. The figures are the similarity starter's."""

from typing import Any, Final

CORPUS: Final = "corpus_01M8881YXAF1YVYWDJ42Z9CEX4"
TRAINING: Final = "train_01M888238JC9DS2AHRJKFBH5Z4"
MODEL: Final = "model_01M8882CGSZQA1SXGRVT7K0Q7K"

REQUESTS: Final[dict[str, dict[str, Any]]] = {
    "defaults": {
        "summary": "CNN-4 without a defence, as the paper trains it",
        "value": {"corpus": CORPUS},
    },
    "similarity": {
        "summary": "Hardened with the similarity defence, in an eighth of the iterations",
        "value": {
            "corpus": CORPUS,
            "name": "hardened",
            "architecture": "cnn4",
            "defense": {"type": "similarity", "beta": 0.4, "gamma": 0.4, "distance": "mse"},
            "epsilon": 0.02,
            "iterations": 1250,
            "cooldown": 150,
            "frames": 187,
            "seed": 1,
        },
    },
    "vanilla": {
        "summary": "Hardened with the vanilla defence, and scored on dev each 500 iterations",
        "value": {
            "corpus": CORPUS,
            "defense": {"type": "vanilla", "alpha": 0.5},
            "evaluate_every": 500,
            "metadata": {"ticket": "QA-18"},
        },
    },
}

_QUEUED: Final[dict[str, Any]] = {
    "id": TRAINING,
    "object": "training",
    "status": "queued",
    "model": None,
    "created_at": "2026-11-25T02:20:22.675Z",
    "started_at": None,
    "finished_at": None,
    "attempt": 0,
    "progress": {"done": 0, "total": None, "unit": None, "eta_seconds": None},
    "input": {
        "corpus": CORPUS,
        "name": "hardened",
        "architecture": "cnn4",
        "defense": {"type": "similarity", "beta": 0.4, "gamma": 0.4, "distance": "mse"},
        "epsilon": 0.02,
        "clip": 0.1,
        "labels": "true",
        "iterations": 1250,
        "adversarial_from": None,
        "batch_size": 16,
        "learning_rate": 0.001,
        "decay": 0.9,
        "decay_every": 100,
        "cooldown": 150,
        "frames": 187,
        "seed": 1,
        "train_on": "train",
        "evaluate_every": None,
    },
    "result": None,
    "error": None,
    "warnings": [],
    "metadata": {},
    "urls": {
        "self": f"/v1/trainings/{TRAINING}",
        "cancel": f"/v1/trainings/{TRAINING}/cancel",
        "events": f"/v1/trainings/{TRAINING}/events",
        "results": None,
        "report": None,
        "artifacts": None,
        "caused_by": None,
        "caused": [],
    },
}

_RESULT: Final[dict[str, Any]] = {
    "model": MODEL,
    "metrics": {
        "dev": {
            "clips": 1088,
            "clean_uar": 0.6968,
            "fgsm_uar": {"0.02": 0.5197, "0.04": 0.3607, "0.1": 0.0797},
        },
        "test": {
            "clips": 1020,
            "clean_uar": 0.6283,
            "fgsm_uar": {"0.02": 0.475, "0.04": 0.3751, "0.1": 0.1079},
        },
    },
}

QUEUED: Final = {"training-queued": {"summary": "A training that waits", "value": _QUEUED}}
JOBS: Final = {
    "training": {
        "summary": "A training that has succeeded",
        "value": _QUEUED
        | {
            "status": "succeeded",
            "model": MODEL,
            "started_at": "2026-11-25T02:20:22.679Z",
            "finished_at": "2026-11-25T02:41:09.163Z",
            "attempt": 1,
            "progress": {"done": 1250, "total": 1250, "unit": "iterations", "eta_seconds": None},
            "result": _RESULT,
        },
    }
}

"""Examples of audits for the OpenAPI document. The figures are those of a real audit."""

from typing import Any, Final

MODEL: Final = "cnn4-single-cremad"
CORPUS: Final = "corpus_01M8881YXAF1YVYWDJ42Z9CEX4"
AUDIT: Final = "audit_01M8881ZBAS7SKRVCZ4PJ108T0"
GRID: Final = [0, 0.02, 0.04, 0.06, 0.08, 0.1]

REQUESTS: Final[dict[str, dict[str, Any]]] = {
    "corpus": {
        "summary": "A corpus, over the grid of the paper",
        "value": {
            "model": MODEL,
            "corpus": CORPUS,
            "partition": "test",
            "attacks": [{"type": "fgsm", "epsilon": GRID}],
        },
    },
    "sample": {
        "summary": "A sample of it, with notes of your own",
        "value": {
            "model": MODEL,
            "corpus": CORPUS,
            "limit": 200,
            "seed": 7,
            "attacks": [{"type": "fgsm", "epsilon": [0.02, 0.1], "labels": "predicted"}],
            "save_adversarial": False,
            "metadata": {"ticket": "QA-17"},
        },
    },
    "harden": {
        "summary": "Train a hardened model if more than 30 % of the attacks succeed",
        "value": {
            "model": MODEL,
            "corpus": CORPUS,
            "attacks": [{"type": "fgsm", "epsilon": [0.02]}],
            "harden": {
                "defense": {"type": "similarity", "beta": 0.4, "gamma": 0.4},
                "when": {"epsilon": 0.02, "success_rate_above": 0.3},
                "iterations": 10000,
            },
        },
    },
}

FORMS: Final[dict[str, dict[str, Any]]] = {
    "labelled": {
        "summary": "Two clips, the emotion of one of them known",
        "value": {
            "file": ["first.wav", "second.wav"],
            "request": {
                "model": MODEL,
                "attacks": [{"type": "fgsm", "epsilon": [0.02, 0.1]}],
                "labels": ["anger", None],
            },
        },
    },
}

_QUEUED: Final[dict[str, Any]] = {
    "id": AUDIT,
    "object": "audit",
    "status": "queued",
    "model": MODEL,
    "created_at": "2026-11-25T02:20:18.668Z",
    "started_at": None,
    "finished_at": None,
    "attempt": 0,
    "progress": {"done": 0, "total": None, "unit": None, "eta_seconds": None},
    "input": {
        "model": MODEL,
        "attacks": [{"type": "fgsm", "epsilon": [0.02], "labels": "true", "clip": None}],
        "seed": 0,
        "save_adversarial": True,
        "corpus": CORPUS,
        "partition": "test",
        "limit": None,
        "harden": None,
    },
    "result": None,
    "error": None,
    "warnings": [
        (
            "The model was trained on 2 of the 2 speakers of these clips (1003, 1008): on new"
            " speakers it does worse."
        ),
        "14 of 24 clips are longer than the model's window of 3.0 s: their first part is audited.",
    ],
    "metadata": {},
    "urls": {
        "self": f"/v1/audits/{AUDIT}",
        "cancel": f"/v1/audits/{AUDIT}/cancel",
        "events": f"/v1/audits/{AUDIT}/events",
        "results": f"/v1/audits/{AUDIT}/results",
        "report": f"/v1/audits/{AUDIT}/report",
        "artifacts": f"/v1/audits/{AUDIT}/artifacts",
        "caused_by": None,
        "caused": [],
    },
}

_LABELS: Final = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")
_RESULT: Final[dict[str, Any]] = {
    "n": 24,
    "n_unlabelled": 0,
    "labels": list(_LABELS),
    "clean": {
        "uar": 0.9166666666666666,
        "accuracy": 0.9166666666666666,
        "recall": dict(zip(_LABELS, (1.0, 1.0, 1.0, 1.0, 1.0, 0.5), strict=True)),
        "confusion": [
            [4, 0, 0, 0, 0, 0],
            [0, 4, 0, 0, 0, 0],
            [0, 0, 4, 0, 0, 0],
            [0, 0, 0, 4, 0, 0],
            [0, 0, 0, 0, 4, 0],
            [1, 0, 0, 1, 0, 2],
        ],
    },
    "curve": [
        {
            "attack": "fgsm",
            "labels": "true",
            "clip": None,
            "epsilon": 0.02,
            "uar": 0.75,
            "accuracy": 0.75,
            "recall": dict(zip(_LABELS, (1.0, 0.75, 0.75, 0.75, 1.0, 0.25), strict=True)),
            "confusion": [
                [4, 0, 0, 0, 0, 0],
                [0, 3, 0, 1, 0, 0],
                [0, 0, 3, 0, 1, 0],
                [0, 0, 1, 3, 0, 0],
                [0, 0, 0, 0, 4, 0],
                [0, 0, 0, 1, 2, 1],
            ],
            "success_rate": 0.18181818181818182,
            "counts": {"right_wrong": 4, "right_right": 18, "wrong_right": 0, "wrong_wrong": 2},
            "no_gradient": 0,
            "unlabelled": None,
            "survives_as_audio": 0.5,
            "played": 4,
            "snr_db": 32.375,
        }
    ],
    "scale": {"lowest": 0.693, "median": 1.07, "highest": 1.36},
}

QUEUED: Final = {"audit-queued": {"summary": "An audit that waits", "value": _QUEUED}}
JOBS: Final = {
    "audit": {
        "summary": "An audit that has succeeded",
        "value": _QUEUED
        | {
            "status": "succeeded",
            "started_at": "2026-11-25T02:20:18.678Z",
            "finished_at": "2026-11-25T02:20:22.656Z",
            "attempt": 1,
            "progress": {"done": 24, "total": 24, "unit": "clips", "eta_seconds": None},
            "result": _RESULT,
        },
    }
}

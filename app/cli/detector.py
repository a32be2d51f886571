"""What the training of a detector has found, as tables."""

from typing import Any

import typer

from app.cli.output import table

COLUMNS = ("attack", "strength", "clips", "AUC", "noticed", "success", "unnoticed")


def is_detector(job: dict[str, Any]) -> bool:
    """Whether a job trains a detector."""
    kind: str | None = job["input"].get("type")
    return kind == "detector"


def show_detector(result: dict[str, Any]) -> None:
    """Print how well it tells attacked clips from clean ones."""
    metrics = result["metrics"]
    rows = [
        (
            f"{one['attack']} ({one['kind'].replace('_', ' ')})",
            f"{one['strength']:g} {one['unit']}",
            one["n"],
            one["auc"]["value"],
            one["true_positive_rate"]["value"],
            one["success_rate"]["value"],
            one["unnoticed_rate"]["value"],
        )
        for one in metrics["rows"]
    ]
    table(COLUMNS, rows, title=f"detector of {result['model']}")
    alarms = metrics["false_alarm_rate"]["test"]
    low, high = alarms["interval"]
    typer.echo(
        f"Above {metrics['threshold']:.3f} it gives an alarm: of {alarms['n']} clean clips of test,"
        f" {alarms['value']:.1%} ({low:.1%} to {high:.1%})."
    )
    if not result["attached"]:
        typer.echo(f"It is not attached to {result['model']}.")

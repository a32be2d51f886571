"""Measure Serval: a table for people, then one line of JSON.

    make bench                          everything
    make bench ARGS="attacks training"  these modules alone

Bars are set on ratios of two things measured by turns in one run, which mean the same on a busy
machine and on an idle one; only the import of a corpus is held to seconds. A module of this folder
has a function ``measure()`` that answers a list of figures: name, value, bar, better ("lower" or
"higher" than the bar) and a note; without bar and better if it is reported alone; or name and
skipped, which says why there is nothing to measure.
"""

import importlib
import json
import os
import platform
import sys
from typing import Any

import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table

MODULES = (
    "predict",
    "neighbours",
    "litserve",
    "replicas",
    "serving",
    "attacks",
    "audit",
    "audit_memory",
    "measures",
    "shards",
    "training",
    "study",
    "corpus",
    "mutations",
    "soak",
    "gpu",
)

Figure = dict[str, Any]


def main(names: list[str]) -> None:
    """Measure the named modules, or all."""
    unknown = [name for name in names if name not in MODULES]
    if unknown:
        sys.exit(f"unknown module {unknown[0]!r}: choose among {', '.join(MODULES)}")
    console = Console(width=max(100, Console().width))
    figures: list[Figure] = []
    for name in names or MODULES:
        console.print(f"[dim]measuring {name} …[/dim]")
        figures += [judged(name, figure) for figure in measured(name)]
    console.print(table(figures))
    summary = {"ok": all(figure["ok"] for figure in figures), "figures": figures, **machine()}
    print(json.dumps(summary))


def measured(name: str) -> list[Figure]:
    """A module's figures; one without a value if it could not measure."""
    try:
        figures: list[Figure] = importlib.import_module(f"bench.{name}").measure()
    except Exception as error:  # noqa: BLE001 (the other modules are measured all the same)
        return [{"name": name, "failed": f"{type(error).__name__}: {error}"}]
    return figures


def judged(module: str, figure: Figure) -> Figure:
    """A figure with its module and whether it holds its bar; what has none, or was skipped, misses
    none."""
    if "bar" in figure:
        value, bar = figure["value"], figure["bar"]
        ok = value <= bar if figure["better"] == "lower" else value >= bar
    else:
        ok = "failed" not in figure
    return {"module": module, **figure, "ok": ok}


def table(figures: list[Figure]) -> Table:
    """What people read."""
    lines = Table(title="Serval, measured")
    for column in ("figure", "value", "bar", "", "how"):
        lines.add_column(column, justify="right" if column in {"value", "bar"} else "left")
    for figure in figures:
        lines.add_row(*cells(figure))
    return lines


def cells(figure: Figure) -> tuple[str, str, str, str, str]:
    """One line of the table."""
    if "skipped" in figure:
        return figure["name"], "", "", "[yellow]skipped[/yellow]", escape(figure["skipped"])
    if "failed" in figure:
        return figure["name"], "", "", "[red]failed[/red]", escape(figure["failed"])
    if "bar" not in figure:
        return figure["name"], f"{figure['value']:.3g}", "", "", escape(figure["note"])
    sign = "≤" if figure["better"] == "lower" else "≥"
    verdict = "[green]holds[/green]" if figure["ok"] else "[red]missed[/red]"
    value, bar = f"{figure['value']:.3g}", f"{sign} {figure['bar']:.3g}"
    return figure["name"], value, bar, verdict, escape(figure["note"])


def machine() -> dict[str, Any]:
    """Where it was measured."""
    return {
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processor": platform.processor() or platform.machine(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


if __name__ == "__main__":
    main(sys.argv[1:])

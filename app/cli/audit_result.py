"""What an audit found, in a terminal: every figure with its interval."""

from typing import Any, Final

import typer

from app.cli.errors import CliError
from app.cli.output import table

HEADS: Final = (
    "attack", "strength", "n", "UAR", "success", "broken", "success over noise",
    "survives as audio",
)  # fmt: skip
CASE: Final = {"UAR": "uar", "success": "success_rate", "over noise": "over_control"}
"""What is told of a worst case."""
FEW_SPEAKERS: Final = (
    "Fewer than 5 speakers: the intervals say nothing of other speakers, and are too narrow for"
    " them."
)


def show_audit(result: dict[str, Any], job: dict[str, Any], measures: list[str]) -> None:
    """Print the result of a job: what was found and whether it may be relied on, then its curve,
    worst case, gaps and smallest strengths.

    Args:
        measures: what is shown of each point beside UAR and success.

    Raises:
        CliError: there is no such measure.
    """
    _show_verdict(result)
    clean = result["clean"]
    title = f"{job['model']} on {result['n']} clips: "
    if clean["uar"] is None:
        title += "no labels, so no UAR"
    else:
        title += f"UAR {_figure(clean['measures'], 'uar')}{_speakers(clean['measures']['uar'])}"
    attacks = result["attacks"]
    rows = [
        (
            _name(attacks[point["attack"]]),
            f"{point['strength']:g} {attacks[point['attack']]['threat']['unit']}",
            point["n"],
            *(_figure(point["measures"], name) for name in ("uar", "success_rate")),
            f"{point['counts']['right_wrong']}/{point['right_before']}",
            _figure(point["measures"], "over_control"),
            point["survives_as_audio"],
            *(_figure(point["measures"], name) for name in measures),
        )
        for point in result["curve"]
    ]
    heads = (*HEADS, *measures)
    table(heads, rows, title=title)
    if clean["measures"]["accuracy"]["method"].endswith("few_speakers"):
        typer.echo(FEW_SPEAKERS)
    _show_warnings(result)
    for case in result["worst_case"]:
        typer.echo(_worst(case))
    for gap in result["gaps"]:
        if _differs(gap["gap"]):
            typer.echo(_gap(gap, attacks))
    for found in result["minimum"]:
        typer.echo(_smallest(found, attacks[found["attack"]]))
    if result["hardening"]:
        typer.echo(_hardening(result["hardening"]))
    for ranked in (result.get("comparison") or {"ranking": []})["ranking"]:
        typer.echo(ranked["sentence"])
    for warning in job["warnings"]:
        typer.echo(warning, err=True)


def _show_warnings(result: dict[str, Any]) -> None:
    """How many clips have each warning of predictions; earlier audits do not say."""
    warned = ", ".join(f"{one['code']} {one['clips']}" for one in result.get("warnings") or ())
    if warned:
        typer.echo(f"warnings, in clips of {result['n']}: {warned}")


def _worst(case: dict[str, Any]) -> str:
    """All attacks of a threat model together."""
    threat = case["threat"]
    figures = ", ".join(
        f"{name} {_figure(case['measures'], measure)}"
        for name, measure in CASE.items()
        if case["measures"][measure]["value"] is not None
    )
    return (
        f"worst case, {threat['domain']} {threat['norm']} {case['strength']:g}"
        f" {threat['unit']}: {figures} ({case['n']} clips)"
    )


def _hardening(found: dict[str, Any]) -> str:
    """What `harden` came to."""
    told = {
        name: value for name, value in found.items() if value and name not in {"when", "figures"}
    }
    return "hardening: " + ", ".join(f"{name} {value}" for name, value in told.items())


def _show_verdict(result: dict[str, Any]) -> None:
    """The evidence, the finding, and the checks that are raised, each with what to do."""
    if result["evidence"] is None:  # from before there were checks
        return
    checks = result["checks"]
    raised = [check for check in checks if check["status"] == "raised"]
    not_run = [check["id"] for check in checks if check["status"] == "not_run"]
    typer.echo(
        f"evidence: {result['evidence']} ({len(raised)} of {len(checks)} checks raised,"
        f" {len(not_run)} not run)"
    )
    typer.echo(f"finding: {result['finding']}")
    for check in raised:
        typer.echo(f"{check['severity']}: {check['title']} ({check['id']}). {check['measured']}")
        typer.echo(f"  remedy: {check['remedy']['text']}")
    if not_run:
        typer.echo(f"not run: {', '.join(not_run)}")


def _smallest(found: dict[str, Any], attack: dict[str, Any]) -> str:
    """The strengths at which a quarter, half and three quarters of the clips break."""
    unit, (first, last) = attack["threat"]["unit"], found["quartiles"]
    told = ", ".join(
        "unbroken" if one is None else f"{one:.3g} {unit}" for one in (first, found["median"], last)
    )
    return (
        f"smallest strength that breaks, {_name(attack)}: quartiles {told}"
        f" ({found['unbroken']} of {found['right_before']} clips unbroken)"
    )


def _speakers(figure: dict[str, Any]) -> str:
    """Of how many speakers a figure is, where they are known."""
    n = figure["n_speakers"]
    return "" if n is None else f", {n} speaker{'' if n == 1 else 's'}"


def _differs(gap: dict[str, Any]) -> bool:
    """Whether the interval of a gap leaves out 0."""
    low, high = gap["interval"] or (0.0, 0.0)
    return bool(low > 0 or high < 0)


def _gap(gap: dict[str, Any], attacks: list[dict[str, Any]]) -> str:
    """Two groups that differ by more than chance makes of so many groups."""
    at = "clean"
    if gap["attack"] is not None:
        attack = attacks[gap["attack"]]
        at = f"{_name(attack)} {gap['strength']:g} {attack['threat']['unit']}"
    return (
        f"differs by {gap['by']}, {at}: {gap['figure']} of {gap['worst']} minus {gap['best']}"
        f" {_figure({'gap': gap['gap']}, 'gap')} ({gap['groups']} groups)"
    )


def _figure(figures: dict[str, Any], name: str) -> str:
    """A measure with its interval, such as ".31 [.20, .45]"."""
    if name not in figures:
        raise CliError(f"--measure is {name!r}; the audit has {', '.join(figures)}")
    found = figures[name]
    if found["value"] is None:
        return "–"
    low, high = found["interval"] or (None, None)
    interval = "" if low is None else f" [{low:.3f}, {high:.3f}]"
    return f"{found['value']:.3f}{interval}"


def _name(attack: dict[str, Any]) -> str:
    """The index, the type, and whether there is an adversary; of a corruption its parameters."""
    if attack["threat"]["domain"] == "corruption":
        return " ".join(
            [
                str(attack["index"]),
                attack["type"],
                *(f"{name} {value}" for name, value in attack["parameters"].items()),
            ]
        )
    control = " (control)" if attack["control"] else ""
    return f"{attack['index']} {attack['type']}{control}"

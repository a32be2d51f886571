"""`serval gate`, and the gates of `serval audit`: what decides, and the exit codes.

What is judged, and how, is known by :mod:`app.gates`; here it is asked for, shown and written.
"""

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, ParamSpec

import typer

from app.cli.api import DEFAULT_URL, Api, Key, Refused, Unreachable, Url, path_to
from app.cli.errors import CliError
from app.cli.following import PATIENCE_SECONDS, RETRY_SECONDS, TERMINAL, TOO_MANY, follow
from app.cli.output import Json, print_json
from app.cli.writing import check_writable, write_over
from app.gates import gate_file, text
from app.gates.audit import Audit
from app.gates.comparison import Comparison, deltas
from app.gates.errors import GateError
from app.gates.expression import parse
from app.gates.gate_file import Gate, GateFile
from app.gates.judging import BaselineAudit, Demands, check, judge
from app.gates.junit import junit as as_junit
from app.gates.markdown import markdown as as_markdown
from app.gates.verdict import ExitCode, Verdict, failure

GATES: Final = "Gates"
BUSY: Final = {TOO_MANY, 503}


class Evidence(StrEnum):
    """What evidence may be at least."""

    SOUND = "sound"
    WEAK = "weak"


FailIf = Annotated[
    list[str] | None,
    typer.Option(
        help="Fail where this holds, such as 'worst_uar@0.02.low < 0.35'; once for each.",
        rich_help_panel=GATES,
    ),
]
Baseline = Annotated[
    str | None,
    typer.Option(help="Audit that delta_… is taken against.", rich_help_panel=GATES),
]
GatesFrom = Annotated[
    Path | None,
    typer.Option(
        help="File of gates and waivers.",
        show_default=f"{gate_file.NAME}, if it is there and gates are asked for",
        rich_help_panel=GATES,
    ),
]
LeastEvidence = Annotated[
    Evidence | None,
    typer.Option(
        help="What the evidence must be at least.", show_default="weak", rich_help_panel=GATES
    ),
]
AllowInvalid = Annotated[
    bool,
    typer.Option("--allow-invalid", help="Judge also on invalid evidence.", rich_help_panel=GATES),
]
JUnit = Annotated[
    Path | None, typer.Option(help="Write the verdict as JUnit XML.", rich_help_panel=GATES)
]
Markdown = Annotated[
    Path | None,
    typer.Option(help="Write it as Markdown, for a comment.", rich_help_panel=GATES),
]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options of gates, as they were given."""

    fail_if: list[str] | None = None
    baseline: str | None = None
    gate: Path | None = None
    evidence: Evidence | None = None
    allow_invalid: bool = False
    junit: Path | None = None
    markdown: Path | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Asked":
        """Those among all options of a command."""
        return cls(**{one.name: options[one.name] for one in fields(cls)})

    def __bool__(self) -> bool:
        return any(getattr(self, one.name) for one in fields(self))

    def demands(self) -> tuple[Demands, str | None]:
        """What is asked of the audit, and its baseline; read before anything is run.

        Raises:
            GateError: a gate or the file of gates does not hold.
            CliError: a file cannot be written.
        """
        for path in (self.junit, self.markdown):
            if path is not None:
                check_writable(path)
        found = self._file()
        demands = Demands(
            gates=found.gates if self.fail_if is None else [_gate(one) for one in self.fail_if],
            waivers=found.waivers,
            evidence=found.evidence if self.evidence is None else self.evidence.value,
            allow_invalid=self.allow_invalid,
            today=datetime.now(UTC).date(),
        )
        check(demands)
        return demands, self.baseline or found.baseline

    def check(self, **options: bool) -> None:
        """Return if they can be asked of the audit that a command makes.

        Args:
            options: of the command under which no audit ends.

        Raises:
            GateError: as `demands`, or one of the options is given.
        """
        if not self:
            return
        self.demands()
        idle = [f"--{name.replace('_', '-')}" for name, given in options.items() if given]
        if idle:
            raise GateError(
                f"With {idle[0]} there is no finished audit to judge: leave it out, or judge the"
                " audit later with `serval gate AUDIT`."
            )

    def _file(self) -> GateFile:
        here = Path(gate_file.NAME)
        if self.gate is None and not here.exists():
            return GateFile()
        return gate_file.read(self.gate or here)


def _gate(condition: str) -> Gate:
    parse(condition)  # which tells more than the gate's own bounds
    return Gate(fail_if=condition)


Arguments = ParamSpec("Arguments")
Command = Callable[Arguments, None]


def with_gate_exits(command: Command[Arguments]) -> Command[Arguments]:
    """Decorator of a command with all options of `Asked` and `json`: where gates are asked for,
    whatever goes wrong is a verdict too, and ends with one of the five exit codes."""

    @functools.wraps(command)
    def wrapped(*arguments: Arguments.args, **options: Arguments.kwargs) -> None:
        asked = Asked.of(options)
        if asked:
            _judged(partial(command, *arguments, **options), asked, json=bool(options["json"]))
        command(*arguments, **options)

    return wrapped


def _judged(command: Callable[[], None], asked: Asked, *, json: bool) -> NoReturn:
    """Run a command that ends with a verdict; what goes wrong before that is one, too."""
    try:
        command()
    except GateError as error:
        found = failure(ExitCode.USAGE, str(error))
    except CliError as error:
        code = ExitCode.UNREACHABLE if _is_the_service(error) else ExitCode.USAGE
        found = failure(code, str(error))
    except (ValueError, LookupError, TypeError) as error:  # of what the service answered
        told = f"What the service answers is not understood: {error!r}"
        found = failure(ExitCode.UNREACHABLE, told)
    else:
        raise AssertionError("a command with gates ends with a verdict")
    _end(found, asked, json=json)


def _is_the_service(error: BaseException | None) -> bool:
    """Whether nobody answers, or the service cannot: then another try may be all it needs."""
    if error is None:
        return False
    if isinstance(error, Refused):
        return error.status >= 500 or error.status == TOO_MANY
    return isinstance(error, Unreachable) or _is_the_service(error.__cause__)


def gate(
    audit: Annotated[str, typer.Argument(help="Id of an audit.")],
    *,
    fail_if: FailIf = None,
    baseline: Baseline = None,
    gate: GatesFrom = None,
    evidence: LeastEvidence = None,
    allow_invalid: AllowInvalid = False,
    junit: JUnit = None,
    markdown: Markdown = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: Json = False,
) -> None:
    """Judge an audit by gates, for a build: exit 0 passed, 1 failed, 2 usage or unknown name, 3
    nothing to judge, 4 the service does not answer."""
    asked = Asked(
        fail_if=fail_if,
        baseline=baseline,
        gate=gate,
        evidence=evidence,
        allow_invalid=allow_invalid,
        junit=junit,
        markdown=markdown,
    )

    def judged() -> None:
        asked.demands()  # what does not hold is told of before anything is waited for
        with Api(url, key) as api:
            judge_job(api, _ended(api, audit, quiet=json), asked, json=json)

    _judged(judged, asked, json=json)


def judge_job(api: Api, job: dict[str, Any], asked: Asked, *, json: bool) -> NoReturn:
    """Judge an audit that has ended, show the verdict, and exit with its code.

    Raises:
        GateError: a gate or a waiver names what the audit has not.
    """
    demands, baseline = asked.demands()
    audit = Audit.model_validate(job)
    against = None if baseline is None else _baseline(api, audit, baseline, quiet=json)
    verdict = judge(audit, demands, against)
    _end(verdict, asked, json=json)


def _baseline(api: Api, audit: Audit, baseline: str, *, quiet: bool) -> BaselineAudit:
    """The baseline, which is waited for, and the differences from it; none of an audit without a
    result."""
    if audit.result is None:
        return BaselineAudit(baseline)
    known = Audit.model_validate(_ended(api, baseline, quiet=quiet)).result
    evidence = None if known is None else known.evidence
    wanted = {"audits": [baseline, audit.id], "baseline": baseline}
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            found = api.post("/v1/comparisons", json=wanted)
        except Refused as error:
            if error.status not in BUSY or time.monotonic() > until:
                raise
            time.sleep(RETRY_SECONDS)
        else:
            differences = deltas(Comparison.model_validate(found), audit.result)
            return BaselineAudit(baseline, evidence, differences)


def _ended(api: Api, audit: str, *, quiet: bool) -> dict[str, Any]:
    """An audit, once it has ended."""
    job: dict[str, Any] = api.get(path_to("audits", audit))
    return job if job["status"] in TERMINAL else follow(api, job, quiet=quiet)


def _end(verdict: Verdict, asked: Asked, *, json: bool) -> NoReturn:
    """Write the files, say the verdict, and exit with its code."""
    try:
        if asked.junit is not None:
            write_over(asked.junit, as_junit(verdict))
        if asked.markdown is not None:
            write_over(asked.markdown, as_markdown(verdict))
    except CliError as error:  # a pipe whose reader is gone, a full disk
        typer.echo(f"The verdict ({verdict.word}) {error}", err=True)
        raise typer.Exit(ExitCode.USAGE) from error
    if json:
        print_json(verdict.model_dump(mode="json"))
    else:
        for line in text.lines(verdict):
            typer.echo(line, err=verdict.failure is not None)
    raise typer.Exit(verdict.exit_code)

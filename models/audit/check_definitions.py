"""`docs/checks.md`: what each check looks at, from what the checks say of themselves.

``python -m models.audit.check_definitions`` prints it.
"""

import sys
from typing import Final

from models.audit.checks import CHECKS, Check
from models.audit.checks.outcome import SEVERITIES

HEAD: Final = """\
# Checks

`make checks` writes this page from the checks in `models/audit/checks/`, one file each
([adding one](adding-a-check.md)). The result of an audit has the verdict in three fields:

- `evidence`: whether its figures may be relied on, `sound`, `weak` or `invalid`. It is the worst
  severity of the checks that are raised, and `weak` at best where a check failed. It says nothing
  of how robust the model is.
- `finding`: what was found, in one sentence, with its bound and with noise of the same size.
- `checks`: every check that there is, as `clear`, `raised` or `not_run` (with the reason). A check
  that does not apply, or whose data the audit has not, is not run, and does not change the
  evidence.

Where another run settles a check, `remedy.request` is a JSON merge patch (RFC 7396) to the audit's
`input`: apply it, and submit what comes out. A patch is left out where the request that it makes
would be refused.

Some of what checks read is measured beside the audit, and counted in no cost and no forecast: the
first 8 clips are scored a second time, with their gradients (two passes forwards and one backwards
each), and the adversarial inputs that are kept are read back from their files.

`harden` goes by the worst case with its interval, and trains nothing where the evidence is invalid.

| severity | what a raised check means |
|---|---|
"""


def page() -> str:
    """The text of the page."""
    severities = [f"| `{name}` | {text} |\n" for name, text in SEVERITIES.items()]
    sections = [_section(CHECKS[name]) for name in sorted(CHECKS)]
    return "".join([HEAD, *severities, *sections])


def _section(check: type[Check]) -> str:
    return (
        f"\n## {check.id}\n\n{check.title}.\n\n"
        f"- Severity: `{check.severity}` · version {check.version}\n"
        f"- Reads: {check.reads}\n- Raised if: {check.raised_if}\n"
        f"- Remedy: {check.remedy}\n- Source: {check.source}\n"
    )


if __name__ == "__main__":
    sys.stdout.write(page())

"""The verdict as JUnit XML: a test case for each gate and each check.

failed → failure, error → error, skipped → skipped. So a report has failures if and only if the exit
code is 1, and errors without failures if and only if it is 2, 3 or 4.
"""

import json
import re
from typing import Final
from xml.etree import ElementTree as ET

from app.gates.verdict import Case, Outcome, Verdict

_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Of XML 1.0, Sec. 2.2: no escape makes these characters of a document."""
SUITE: Final = "serval gate"
ELEMENTS: Final[dict[Outcome, str]] = {"failed": "failure", "error": "error", "skipped": "skipped"}
MOST_MESSAGE: Final = 2_000


def junit(verdict: Verdict) -> str:
    """The report, with its declaration."""
    counts = {
        "tests": str(len(verdict.cases)),
        "failures": str(verdict.count("failed")),
        "errors": str(verdict.count("error")),
        "skipped": str(verdict.count("skipped")),
        "time": "0",
    }
    suites = ET.Element("testsuites", {"name": SUITE, **counts})
    suite = ET.SubElement(suites, "testsuite", {"name": SUITE, **counts})
    _properties(suite, verdict)
    for case in verdict.cases:
        _case(suite, case)
    ET.indent(suites)
    text = ET.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _properties(suite: ET.Element, verdict: Verdict) -> None:
    """What the verdict is of; the waivers first."""
    told = [
        (f"waiver {one.check}", f"{one.effect}; until {one.until}: {one.reason}")
        for one in verdict.waivers
    ]
    told += [
        (name, value)
        for name in ("audit", "baseline", "model", "evidence", "finding")
        if (value := getattr(verdict, name)) is not None
    ]
    told += [("exit_code", str(verdict.exit_code)), ("verdict", verdict.word)]
    properties = ET.SubElement(suite, "properties")
    for name, value in told:
        ET.SubElement(properties, "property", {"name": legal(name), "value": legal(value)})


def _case(suite: ET.Element, case: Case) -> None:
    test = ET.SubElement(
        suite,
        "testcase",
        {"classname": f"serval.{case.kind}", "name": legal(case.name), "time": "0"},
    )
    body = [case.message]
    if case.remedy is not None:
        body.append(f"Remedy: {case.remedy}")
    if case.request is not None:
        body.append(f"Patch of the request: {json.dumps(case.request, ensure_ascii=False)}")
    text = legal("\n".join(body))
    element = ELEMENTS.get(case.outcome)
    if element is None:
        ET.SubElement(test, "system-out").text = text
        return
    message = legal(case.message[:MOST_MESSAGE])
    ET.SubElement(test, element, {"message": message, "type": case.kind}).text = text


def legal(text: str) -> str:
    """Text without the characters that XML cannot hold."""
    return _ILLEGAL.sub("", text)

r"""A study as a LaTeX document: each table between booktabs' rules, to be cut out or compiled.

It takes geometry, graphicx, booktabs and longtable, which every distribution has, and runs with
pdflatex. A table that is too wide is scaled to the line, one with many rows runs over pages.
"""

from collections.abc import Iterator
from typing import Final

from models.studies.rendering.text import one_line
from models.studies.result import StudyResult
from models.studies.tables import Sheet

MOST_ROWS: Final = 40
"""Of a table that stands on one page."""
LAST_LATIN: Final = 0x17F
"""Of the letters that T1 has: other scripts are written as code points."""

_SIGNS: Final = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "[": "{[}",  # behind \\ it would begin an argument, as would a star
    "*": "{*}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "-": "{-}",  # two would be a dash
    "–": "--",
    "−": "$-$",
    "×": r"$\times$",
    "ε": r"$\varepsilon$",
    "σ": r"$\sigma$",
    "Σ": r"$\Sigma$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "∞": r"$\infty$",
    "’": "'",
}
_HEAD: Final = r"""\documentclass[10pt]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{textcomp}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage[a4paper,landscape,margin=15mm]{geometry}
\usepackage{graphicx}
\usepackage{booktabs}
\usepackage{longtable}
\newsavebox{\studytable}
\begin{document}"""


def as_latex(result: StudyResult) -> str:
    """A document with all tables."""
    return "\n".join(_lines(result)) + "\n"


def _lines(result: StudyResult) -> Iterator[str]:
    yield _HEAD
    yield rf"\section*{{Study on {escaped(result.caption.corpus)}}}"
    for sentence in result.caption.sentences:
        yield escaped(sentence) + r"\par"
    for table in result.tables:
        for sheet in table.sheets():
            yield from _sheet(sheet)
    yield r"\end{document}"


def _sheet(sheet: Sheet) -> Iterator[str]:
    yield rf"\subsection*{{{escaped(sheet.title)}}}"
    yield rf"% {sheet.name}"
    if sheet.rows:
        yield from _long(sheet) if len(sheet.rows) > MOST_ROWS else _short(sheet)
    for note in sheet.notes:
        yield rf"{{\footnotesize {escaped(note)}\par}}"


def _short(sheet: Sheet) -> Iterator[str]:
    """On one page, scaled to the line where it is wider."""
    yield r"\noindent\begin{lrbox}{\studytable}"
    yield rf"\begin{{tabular}}{{{'l' * len(sheet.heads)}}}"
    yield r"\toprule"
    yield _line(sheet.heads)
    yield r"\midrule"
    yield from map(_line, sheet.rows)
    yield r"\bottomrule"
    yield r"\end{tabular}"
    yield r"\end{lrbox}%"
    yield r"\ifdim\wd\studytable>\linewidth\resizebox{\linewidth}{!}{\usebox{\studytable}}%"
    yield r"\else\usebox{\studytable}\fi\par"


def _long(sheet: Sheet) -> Iterator[str]:
    """Over pages, with its head on each."""
    yield r"{\tiny\setlength{\tabcolsep}{3pt}"
    yield rf"\begin{{longtable}}{{{'l' * len(sheet.heads)}}}"
    yield r"\toprule"
    yield _line(sheet.heads)
    yield r"\midrule\endhead"
    yield r"\bottomrule\endfoot"
    yield from map(_line, sheet.rows)
    yield r"\end{longtable}}"


def _line(cells: tuple[str, ...]) -> str:
    return " & ".join(map(escaped, cells)) + r" \\"


def escaped(text: str) -> str:
    """On one line, and nothing but text."""
    return "".join(map(_letter, one_line(text)))


def _letter(letter: str) -> str:
    known = _SIGNS.get(letter)
    if known is not None:
        return known
    return letter if ord(letter) <= LAST_LATIN else rf"\texttt{{U+{ord(letter):04X}}}"

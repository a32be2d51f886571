"""A document of typst, in a process of its own: with bounds on its time and its memory.

The folder that is given holds `report.typ`, `content.json` and the files that they name; nothing
outside of it can be read by the document, no package is fetched, and no font of the host is used,
so that the same content gives the same bytes everywhere. `python -m app.reports.typesetting FOLDER`
is that process.

PDF/UA-1 refuses a letter that no font can show. Such letters are written as escapes, such as
``\\u6124``, and the document says so; a folder of fonts that have them is `SERVAL_REPORT_FONTS`.
"""

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from app.errors import Unavailable
from app.processes import python_command, python_environment

SECONDS: Final = 60
"""A report of 100 pages takes five on a core of a small server."""
MEMORY_BYTES: Final = 2 * 1024**3
"""Of address space. A report takes a tenth of it in memory."""
FAMILIES: Final = ("Libertinus Serif", "New Computer Modern", "DejaVu Sans Mono")
"""Of the typesetter itself: Latin, Greek, Cyrillic, Arabic, and marks."""
MONOSPACED: Final = ("DejaVu Sans Mono",)
STANDARDS: Final = ("ua-1", "a-3a")
"""Readable by a screen reader, and with files attached."""
ROUNDS: Final = 3
"""Of escaping what no font shows: the probe finds nearly all."""

_TEXT: Final = re.compile(r'the text `"(.*?)"` could not be displayed', re.DOTALL)
_CODE: Final = re.compile(r"\\u\{([0-9a-f]{1,6})\}")
_PROBE: Final = (
    '#set document(title: "p")\n#set text(lang: "en")\n#for one in sys.inputs.letters { [#one ] }'
)


class Unshowable(Exception):
    """No font has these letters.

    Attributes:
        letters: all of them that were found.
    """

    def __init__(self, letters: set[str]) -> None:
        super().__init__(f"no font has {sorted(letters)}")
        self.letters = letters


def typeset(folder: Path, moment: datetime, fonts: Path | None) -> bytes:
    """The document in a folder as a PDF.

    Args:
        moment: that the file says it was made at.
        fonts: a folder of more fonts; None for none.

    Raises:
        Unavailable: it took longer than `SECONDS`, or more memory than `MEMORY_BYTES`.
    """
    told = {
        "moment": int(moment.timestamp()),
        "fonts": [] if fonts is None else [str(fonts)],
        "seconds": SECONDS,
        "memory_bytes": MEMORY_BYTES,
    }
    (folder / "order.json").write_text(json.dumps(told), encoding="utf-8")
    # Of the service's environment, which holds passwords, it needs nothing but the path.
    given = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    environment = python_environment({**given, "RAYON_NUM_THREADS": "1"})
    try:
        done = subprocess.run(
            python_command("app.reports.typesetting", str(folder)),
            env=environment, capture_output=True, timeout=SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise _too_large(f"within {SECONDS} s") from None
    if done.returncode == 0:
        return (folder / "report.pdf").read_bytes()
    if done.returncode < 0 or b"memory" in done.stderr:
        raise _too_large(f"in {MEMORY_BYTES // 1024**2} MiB")
    raise RuntimeError(f"typst failed: {done.stderr.decode(errors='replace')[-2000:]}")


def _too_large(bound: str) -> Unavailable:
    return Unavailable(
        f"The report could not be typeset {bound}. Ask for format=html or format=json.",
        code="report_too_large",
    )


def main(folder: Path) -> None:
    """The process: set the document, with letters that no font has as escapes."""
    order = json.loads((folder / "order.json").read_bytes())
    _bound(resource.RLIMIT_AS, order["memory_bytes"])
    _bound(resource.RLIMIT_CPU, 2 * order["seconds"])
    setter = _Setter(folder, order["moment"], order["fonts"])
    content = json.loads((folder / "content.json").read_bytes())
    content["fonts"] = [*FAMILIES, *setter.own_families]
    content["monospaced"] = [*MONOSPACED, *content["fonts"]]
    drawings = {path: path.read_text(encoding="utf-8") for path in folder.glob("*.svg")}
    escaped = setter.unshowable(_letters([content, *drawings.values()]))
    for _ in range(ROUNDS):
        _write(folder, content, drawings, escaped)
        try:
            (folder / "report.pdf").write_bytes(setter.document())
        except Unshowable as found:
            escaped |= found.letters
        else:
            return
    raise Unshowable(escaped)


def _bound(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    least = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (least, hard))


class _Setter:
    """typst, with its own fonts and those of some folders, and none of the host's."""

    def __init__(self, folder: Path, moment: int, fonts: list[str]) -> None:
        import typst  # not above: the API's own process needs none of it

        self._typst = typst
        self._moment = moment
        self._folder = folder
        self._fonts = typst.Fonts(include_system_fonts=False, font_paths=list(fonts))
        built_in = typst.Fonts(include_system_fonts=False).families()
        self.own_families = [one for one in self._fonts.families() if one not in built_in]

    def document(self) -> bytes:
        """The PDF.

        Raises:
            Unshowable: no font has some letters.
        """
        return self._compiled(self._folder / "report.typ", {}, STANDARDS)

    def unshowable(self, letters: Iterable[str]) -> set[str]:
        """Those of the letters that no font has."""
        source = self._folder / "probe.typ"
        source.write_text(_PROBE, encoding="utf-8")
        try:
            self._compiled(source, {"letters": "".join(sorted(letters))}, STANDARDS[:1])
        except Unshowable as found:
            return found.letters
        return set()

    def _compiled(self, source: Path, inputs: Mapping[str, str], standards: Iterable[Any]) -> bytes:
        compiler = self._typst.Compiler(
            source,
            root=self._folder,
            font_paths=self._fonts,
            sys_inputs=dict(inputs),
            # There is none, so that an import of a package fails and fetches nothing.
            package_path=self._folder / "no-packages",
            package_cache_path=self._folder / "no-packages",
        )
        try:
            made = compiler.compile(
                format="pdf", pdf_standards=list(standards), timestamp=self._moment
            )
        except self._typst.TypstError as error:
            letters = set(_unshowable(error.diagnostic))
            if letters:
                raise Unshowable(letters) from error
            raise
        assert isinstance(made, bytes)
        return made


def _unshowable(diagnostic: str) -> Iterator[str]:
    for text in _TEXT.findall(diagnostic):
        plain = _CODE.sub(lambda code: chr(int(code[1], 16)), text)
        yield from (letter for letter in plain if not letter.isascii())


def _write(
    folder: Path, content: Mapping[str, Any], drawings: Mapping[Path, str], escaped: set[str]
) -> None:
    """The content and the drawings with escapes for these letters, and a word of it."""
    table = {ord(letter): _escape(letter) for letter in escaped}
    told = _mapped(content, lambda text: text.translate(table))
    if escaped:
        told["first"] = [*told["first"], {"kind": "note", "text": _said_of(len(escaped))}]
    (folder / "content.json").write_text(json.dumps(told), encoding="utf-8")
    for path, drawing in drawings.items():
        path.write_text(drawing.translate(table), encoding="utf-8")


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def _said_of(letters: int) -> str:
    return (
        "Letters that this report's fonts do not have stand as their Unicode numbers, such as"
        f" \\u6124: {letters} different ones. The attached report.json has them as they are."
    )


def _letters(values: Iterable[Any]) -> set[str]:
    """All letters in some texts and structures but ASCII ones."""
    found: set[str] = set()

    def note(text: str) -> str:
        found.update(letter for letter in text if not letter.isascii())
        return text

    for value in values:
        _mapped(value, note)
    return found


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """A structure of JSON with each text of it changed, its keys left as they are."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: _mapped(one, change) for name, one in value.items()}
    if isinstance(value, list):
        return [_mapped(one, change) for one in value]
    return value


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""The layout: which package may import which, so that a reader can go through them in one order.

A package is a folder directly below `app`, `models` or `workers`; a module that lies loose in one
of the three stands for itself. Every import counts: also one inside a function, or one for types.
"""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("models", "app", "workers")
"""Each imports from those before it, and from itself."""

Graph = Mapping[str, Mapping[str, str]]
"""{package: {package that it imports: where}}."""


def modules(root: Path, *layers: str) -> dict[str, Path]:
    """{dotted name: file} of every module; that of a folder is its `__init__.py`."""
    found = {}
    for layer in layers:
        for path in sorted((root / layer).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(part for part in parts if part != "__init__")] = path
    return found


def imported(path: Path, known: Mapping[str, Path]) -> Iterator[tuple[int, str]]:
    """(line, module) of each import in the file, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for name in node.names:
                submodule = f"{node.module}.{name.name}"
                yield node.lineno, submodule if submodule in known else node.module


def package(module: str) -> str:
    """app.jobs.service lies in app.jobs, app.errors stands for itself."""
    return ".".join(module.split(".")[:2])


def graph(root: Path, *layers: str) -> Graph:
    """Who imports whom among the packages, with one place where each does."""
    known = modules(root, *layers)
    arrows: dict[str, dict[str, str]] = {}
    for module, path in known.items():
        for line, target in imported(path, known):
            here, there = package(module), package(target)
            # `app` itself holds no more than the version.
            if target.split(".")[0] in layers and here != there and there not in layers:
                arrows.setdefault(here, {})[there] = f"{path.relative_to(root)}:{line}"
    return arrows


def cycle(arrows: Graph) -> str | None:
    """The first cycle that is found, an arrow a line; None if there is none."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        names = error.args[1][::-1]  # it lists who is imported before who imports
        steps = pairwise(names)
        return "\n".join(f"{here} imports {there} ({arrows[here][there]})" for here, there in steps)
    return None


class TestPackages:
    @pytest.mark.parametrize("layer", LAYERS)
    def test_packages_form_no_cycle(self, layer: str) -> None:
        found = cycle(graph(ROOT, layer))
        assert found is None, f"a cycle of packages:\n{found}"

    def test_workers_import_app_imports_models_and_never_back(self) -> None:
        back = [
            f"{here} imports {there} ({where})"
            for here, targets in graph(ROOT, *LAYERS).items()
            for there, where in targets.items()
            if LAYERS.index(here.split(".")[0]) < LAYERS.index(there.split(".")[0])
        ]
        assert back == []

    def test_every_package_with_endpoints_has_schemas_and_a_service(self) -> None:
        folders = [path.parent for path in (ROOT / "app").rglob("endpoints.py")]
        assert len(folders) >= 6
        for folder in folders:
            assert (folder / "schemas.py").is_file(), folder.name
            assert (folder / "service.py").is_file(), folder.name

    @pytest.mark.parametrize(
        "domain", ["audits", "corpora", "jobs", "predictions", "registry", "trainings"]
    )
    def test_http_and_persistence_know_no_domain(self, domain: str) -> None:
        arrows = graph(ROOT, "app")
        assert {f"app.{domain}"} & (
            arrows["app.http"].keys() | arrows["app.persistence"].keys()
        ) == set()


class TestTheCheckItself:
    def test_a_cycle_is_printed_with_where_it_runs(self, tmp_path: Path) -> None:
        for name, text in {
            "jobs/service.py": "def late() -> None:\n    from app.http import problems\n",
            "http/problems.py": "from app import errors\n",
            "errors.py": "from app.jobs.service import late\n",
        }.items():
            (tmp_path / "app" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "app" / name).write_text(text)
        found = cycle(graph(tmp_path, "app"))
        assert found is not None
        assert sorted(found.splitlines()) == [
            "app.errors imports app.jobs (app/errors.py:1)",
            "app.http imports app.errors (app/http/problems.py:1)",
            "app.jobs imports app.http (app/jobs/service.py:2)",
        ]

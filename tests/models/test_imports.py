"""`models` runs on bare GPU machines: it loads with six packages, whatever else is installed."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = (
    "torch",
    "torchaudio",
    "numpy",
    "scipy",
    "safetensors",
    "pydantic",
    "pydantic_core",
    "annotated_types",
)

# What a module of ours asks for is refused unless it is of the standard library, of ours, or one
# of those. What those import themselves is their own matter.
PROGRAM = """
import builtins, importlib, pkgutil, sys
ours, allowed = sys.argv[1], {*sys.argv[2:], *sys.stdlib_module_names, sys.argv[1]}
real = builtins.__import__

def guarded(name, globals=None, locals=None, fromlist=(), level=0):
    asking = (globals or {}).get("__name__", "")
    if asking.split(".")[0] == ours and level == 0 and name.split(".")[0] not in allowed:
        raise ImportError(f"{asking} imports {name}")
    return real(name, globals, locals, fromlist, level)

builtins.__import__ = guarded
package = importlib.import_module(ours)
names = [module.name for module in pkgutil.walk_packages(package.__path__, ours + ".")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


def loaded(package: str, root: Path, *allowed: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, package, *allowed],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_module_loads_with_six_packages() -> None:
    answer = loaded("models", ROOT, *ALLOWED)
    assert answer.returncode == 0, answer.stderr
    files = [
        path for path in (ROOT / "models").rglob("*.py") if path != ROOT / "models/__init__.py"
    ]
    assert int(answer.stdout) == len(files)


def test_another_would_be_named(tmp_path: Path) -> None:
    (tmp_path / "fancy").mkdir()
    (tmp_path / "fancy" / "__init__.py").write_text("")
    (tmp_path / "fancy" / "charts.py").write_text("import json\nimport fastapi.routing\n")
    answer = loaded("fancy", tmp_path, *ALLOWED)
    assert answer.returncode == 1
    assert "fancy.charts imports fastapi.routing" in answer.stderr

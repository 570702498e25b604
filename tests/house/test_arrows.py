"""Who may import whom. Each arrow holds in the house, and each is seen to catch an offence that is planted for it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

RULES, HANDS, AIRFLOW_SIDE = "eventlake", "eventlake_aws", "eventlake_airflow"
# every importable top-level name that a folder of include/ or scripts/ gives away
JOB_NAMES = frozenset(path.stem for path in (ROOT / "include/glue_jobs").iterdir() if not path.name.startswith("_"))
SCRIPT_NAMES = frozenset(path.stem for path in (ROOT / "scripts").iterdir() if not path.name.startswith(("_", "."))) | {
    "scripts"
}
FUNCTION_NAMES = frozenset(path.name for path in (ROOT / "include/lambdas").iterdir()) | {"handler"}
INCLUDE_NAMES = JOB_NAMES | FUNCTION_NAMES | {"include"}


@dataclass(frozen=True)
class Arrow:
    """In `folder`, nothing imports any of `forbidden`; with `allowed`, nothing imports anything else."""

    folder: str
    why: str
    forbidden: frozenset[str] = frozenset()
    allowed: frozenset[str] | None = None

    def forbids(self, module: str) -> bool:
        top = module.partition(".")[0]
        if self.allowed is not None:
            return top not in self.allowed
        return top in self.forbidden


STANDARD_LIBRARY = frozenset(sys.stdlib_module_names)
ARROWS = (
    Arrow("plugins/eventlake", "the rules import nobody", allowed=STANDARD_LIBRARY | {RULES}),
    Arrow(
        "plugins/eventlake_aws",
        "the hands on AWS know neither Airflow nor who calls them",
        forbidden=frozenset({"airflow", AIRFLOW_SIDE, "emulator", "dags"}) | SCRIPT_NAMES | INCLUDE_NAMES,
    ),
    Arrow(
        "plugins/eventlake_airflow",
        "a worker of MWAA finds no include/, no scripts/ and no emulator/",
        forbidden=frozenset({"emulator", "dags"}) | SCRIPT_NAMES | INCLUDE_NAMES,
    ),
    Arrow(
        "dags",
        "a DAG says when and in what order; what is done lies behind eventlake_airflow",
        allowed=STANDARD_LIBRARY | {"airflow", AIRFLOW_SIDE},
    ),
    Arrow(
        "include",
        "functions and jobs run where neither Airflow nor the workers' hands are installed",
        forbidden=frozenset({"airflow", AIRFLOW_SIDE, HANDS, "dags", "emulator"}) | SCRIPT_NAMES,
    ),
    Arrow(
        "scripts",
        "commands use the lake from outside: through AWS and Airflow's REST API",
        forbidden=frozenset({"airflow", AIRFLOW_SIDE, "dags", "emulator"}) | INCLUDE_NAMES,
    ),
    Arrow(
        "emulator",
        "the stand-in for AWS knows no product",
        forbidden=frozenset({"airflow", RULES, HANDS, AIRFLOW_SIDE, "dags"}) | SCRIPT_NAMES | INCLUDE_NAMES,
    ),
)


def imports_of(source: str) -> Iterator[str]:
    """Every absolute module name that the source imports, anywhere in it. Relative imports count as `.`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." if node.level else str(node.module)


def offences(arrow: Arrow, root: Path) -> list[str]:
    folder = root / arrow.folder
    own = {path.stem for path in folder.iterdir()}
    found = []
    for path in sorted(folder.rglob("*.py")):
        # a script beside others, or a job beside its package, may import its neighbours
        neighbours = own if arrow.folder in ("scripts", "emulator") else set()
        for module in imports_of(path.read_text(encoding="utf-8")):
            is_neighbour = module.partition(".")[0] in neighbours or module == "."
            if not is_neighbour and arrow.forbids(module):
                found.append(f"{path.relative_to(root)} imports {module}: {arrow.why}")
    return found


@pytest.mark.parametrize("arrow", ARROWS, ids=lambda arrow: arrow.folder)
def test_the_house_keeps_its_arrows(arrow: Arrow) -> None:
    assert not offences(arrow, ROOT)


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("plugins/eventlake", "import boto3"),
        ("plugins/eventlake", "from eventlake_aws import clients"),
        ("plugins/eventlake_aws", "from airflow.sdk import dag"),
        ("plugins/eventlake_aws", "from eventlake_airflow.notes import note"),
        ("plugins/eventlake_aws", "import eventlake_spark.objects"),
        ("plugins/eventlake_airflow", "import emulator"),
        ("plugins/eventlake_airflow", "from include.lambdas import admit_events"),
        ("dags", "import boto3"),
        ("dags", "from eventlake_aws.publish import publish_table"),
        ("dags", "from include.glue_jobs import load_events"),
        ("include", "def late():\n    import airflow"),
        ("include", "from eventlake_aws.clients import Clients"),
        ("scripts", "import airflow"),
        ("scripts", "from eventlake_airflow.schedules import SCHEDULES"),
        ("scripts", "from eventlake_spark import objects"),
        ("emulator", "from eventlake.settings import Settings"),
        ("emulator", "import eventlake_aws"),
    ],
)
def test_an_arrow_catches_a_planted_offence(tmp_path: Path, folder: str, line: str) -> None:
    (tmp_path / folder / "deep").mkdir(parents=True)
    (tmp_path / folder / "deep" / "planted.py").write_text(f"import json\n{line}\n")
    (arrow,) = (arrow for arrow in ARROWS if arrow.folder == folder)
    assert len(offences(arrow, tmp_path)) == 1


def test_the_rules_import_on_a_bare_python() -> None:
    """`-S` hides every installed package, `-I` every variable and the working directory."""
    modules = sorted(path.stem for path in (ROOT / "plugins/eventlake").glob("*.py") if path.stem != "__init__")
    assert len(modules) > 10
    names = ", ".join(f"eventlake.{module}" for module in modules)
    run = bare_python(f"import {names}")
    assert run.returncode == 0, run.stderr
    assert bare_python("import boto3").returncode != 0, "the bare Python is not bare: this test would prove nothing"


def bare_python(statement: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'plugins')!r}); {statement}"
    return subprocess.run([sys.executable, "-S", "-I", "-c", code], capture_output=True, text=True, timeout=60)


# ---------------------------------------------------------------- plugins/ as Airflow walks it


def unlisted_packages(plugins: Path) -> list[str]:
    """Packages that `.airflowignore` does not name: Airflow would execute their modules a second time."""
    listed = set((plugins / ".airflowignore").read_text().split())
    packages = [path.name for path in plugins.iterdir() if path.is_dir() and not path.name.startswith(("_", "."))]
    return sorted(name for name in packages if f"{name}/" not in listed)


def shadowing_modules(plugins: Path) -> list[str]:
    return sorted(str(path) for path in plugins.rglob("*.py") if path.stem in STANDARD_LIBRARY)


def test_airflow_ignores_every_package_of_plugins(tmp_path: Path) -> None:
    assert not unlisted_packages(ROOT / "plugins")
    # planted: a package that nobody listed
    (tmp_path / ".airflowignore").write_text("eventlake/\n")
    (tmp_path / "eventlake").mkdir()
    (tmp_path / "eventlake_new").mkdir()
    assert unlisted_packages(tmp_path) == ["eventlake_new"]


def test_no_module_is_called_like_one_of_the_standard_library(tmp_path: Path) -> None:
    assert not shadowing_modules(ROOT / "plugins")
    (tmp_path / "calendar.py").touch()
    assert shadowing_modules(tmp_path)


def test_packages_say_what_they_are_for_and_import_nothing_by_themselves() -> None:
    for path in (ROOT / "plugins").glob("*/__init__.py"):
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), f"{path} has no docstring"
        assert len(tree.body) == 1, f"{path} holds more than its docstring"

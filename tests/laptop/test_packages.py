"""The zips that Lambda, Glue and MWAA take: the same bytes every time, and whole."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import package
from eventlake.errors import TerminalError


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> package.Packages:
    return package.build(tmp_path_factory.mktemp("dist"))


def test_the_same_sources_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    sources = tmp_path / "plugins"
    (sources / "eventlake").mkdir(parents=True)
    (sources / "eventlake" / "b.py").write_text("b = 1\n")
    (sources / "eventlake" / "a.py").write_text("a = 1\n")
    monkeypatch.setattr(package, "PLUGINS", sources)
    first = package.build(tmp_path / "one")
    # when: another time, other modes, a compiled file beside
    os.utime(sources / "eventlake" / "a.py", (0, 0))
    (sources / "eventlake" / "a.py").chmod(0o755)
    (sources / "eventlake" / "__pycache__").mkdir()
    (sources / "eventlake" / "__pycache__" / "a.pyc").write_bytes(b"compiled")
    second = package.build(tmp_path / "two")
    # then
    assert first.code_hash == second.code_hash
    for name, path in first.zips.items():
        assert path.read_bytes() == second.zips[name].read_bytes(), name


def test_another_rule_gives_another_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = tmp_path / "eventlake"
    sources.mkdir()
    (sources / "a.py").write_text("a = 1\n")
    monkeypatch.setattr(package, "PLUGINS", tmp_path)
    before = package.code_hash()
    (sources / "a.py").write_text("a = 2\n")
    assert package.code_hash() != before


@pytest.mark.parametrize("function", package.FUNCTIONS)
def test_a_function_imports_from_its_zip_alone(packages: package.Packages, function: str) -> None:
    """Isolated from this checkout: what it needs beyond the standard library and boto3 is in the zip."""
    zipped = packages.zips[f"{function}.zip"]
    code = (
        f"import sys; sys.path.insert(0, {str(zipped)!r}); import handler as h; print(h.__file__, callable(h.handler))"
    )
    ended = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, cwd="/", timeout=60)
    assert ended.stderr == ""
    assert ended.stdout.split() == [f"{zipped}/handler.py", "True"]


@pytest.mark.parametrize("name", ["admit_events.zip", "record_landing.zip", "eventlake-glue.zip", "plugins.zip"])
def test_the_rules_in_a_zip_need_no_site_packages(packages: package.Packages, name: str) -> None:
    zipped = packages.zips[name]
    with zipfile.ZipFile(zipped) as archive:
        modules = sorted(
            entry.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
            for entry in archive.namelist()
            if entry.startswith("eventlake/")
        )
    assert modules
    code = f"import sys; sys.path.insert(0, {str(zipped)!r})\n" + "\n".join(f"import {module}" for module in modules)
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, cwd="/", timeout=60
    )
    assert ended.stderr == ""


def test_the_plugins_keep_their_ignore_file(packages: package.Packages) -> None:
    """Without it MWAA imports every module of the packages twice."""
    with zipfile.ZipFile(packages.zips["plugins.zip"]) as archive:
        names = archive.namelist()
    assert ".airflowignore" in names
    assert {"eventlake", "eventlake_aws", "eventlake_airflow"} <= {name.split("/")[0] for name in names}


def test_the_jobs_library_holds_both_packages(packages: package.Packages) -> None:
    with zipfile.ZipFile(packages.zips["eventlake-glue.zip"]) as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {"eventlake", "eventlake_spark"}


def test_no_zip_holds_what_was_compiled_or_a_path_of_this_machine(packages: package.Packages) -> None:
    for name, path in packages.zips.items():
        with zipfile.ZipFile(path) as archive:
            assert not [entry for entry in archive.namelist() if "__pycache__" in entry or entry.startswith("/")], name


def test_the_jar_holds_the_class_that_reads_lines(packages: package.Packages) -> None:
    with zipfile.ZipFile(packages.zips["eventlake-line-reader.jar"]) as archive:
        assert "eventlake/LineReader.class" in archive.namelist()
        assert {entry.date_time for entry in archive.infolist()} == {package.NO_TIME}


def test_a_jar_of_other_sources_is_not_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = package.JOBS / "eventlake_spark"
    monkeypatch.setattr(package, "LINE_READER", changed)
    with pytest.raises(TerminalError, match=r"^packing the jobs: received no jar of [^\n]*; run make install[^\n]*$"):
        package.build(tmp_path / "dist")
    assert not (tmp_path / "dist").exists()

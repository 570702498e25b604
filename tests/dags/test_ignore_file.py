"""`plugins/.airflowignore` as Airflow itself reads it: only the plugin file is executed by name."""

from __future__ import annotations

from pathlib import Path

from airflow._shared.module_loading import find_path_from_directory

ROOT = Path(__file__).resolve().parents[2]


def executed_files(plugins: Path) -> list[str]:
    found = find_path_from_directory(plugins, ".airflowignore", "glob")
    return sorted(str(Path(path).relative_to(plugins)) for path in found if str(path).endswith(".py"))


def test_only_the_plugin_is_executed_as_a_top_level_module() -> None:
    assert executed_files(ROOT / "plugins") == ["eventlake_plugin.py"]


def test_without_the_ignore_file_a_package_would_be_executed_too(tmp_path: Path) -> None:
    (tmp_path / "eventlake").mkdir()
    (tmp_path / "eventlake" / "layout.py").touch()
    assert executed_files(tmp_path) == ["eventlake/layout.py"]

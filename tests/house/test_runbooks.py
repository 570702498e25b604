"""Whoever is called opens a link: each leads to a runbook that exists, and each runbook answers the same questions."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from eventlake.alerting import runbook_link
from eventlake.settings import Settings
from local_lake import runbook_base_url

ROOT = Path(__file__).resolve().parents[2]
RUNBOOKS = sorted((ROOT / "docs/runbooks").glob("*.md"))
# what an alert can name a runbook in
SOURCES = [*sorted((ROOT / "plugins").rglob("*.py")), ROOT / "include/cloudformation/lake.yaml"]


def named() -> set[str]:
    return {name for path in SOURCES for name in re.findall(r"docs/runbooks/[\w.-]+\.md", path.read_text())}


@pytest.mark.parametrize("runbook", sorted(named()))
def test_the_link_of_every_alert_opens(runbook: str) -> None:
    link = urlsplit(runbook_link(runbook_base_url(Settings(), ROOT), runbook))
    assert (link.scheme, link.netloc, link.query, link.fragment) == ("file", "", "", "")
    assert Path(unquote(link.path)).is_file(), f"{runbook} is named by an alert and does not exist"
    elsewhere = Settings.from_env({"LAKE_RUNBOOK_BASE_URL": "https://git.example.com/lake"})
    assert runbook_link(runbook_base_url(elsewhere, ROOT), runbook) == f"https://git.example.com/lake/{runbook}"


def test_every_runbook_belongs_to_an_alert() -> None:
    assert {str(path.relative_to(ROOT)) for path in RUNBOOKS} == named()


@pytest.mark.parametrize("runbook", RUNBOOKS, ids=lambda path: path.stem)
def test_a_runbook_has_its_four_answers(runbook: Path) -> None:
    text = runbook.read_text()
    assert [line for line in text.splitlines() if line.startswith("# ")] == [f"# {runbook.stem}"]
    assert re.findall(r"^\*\*([^*]+)\.\*\*", text, re.MULTILINE) == ["Means", "Check first", "Fix", "False alarms"]

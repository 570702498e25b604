"""Each fix of the emulator is needed: without it, every test that says it closes a gap fails.

The other half of docs/emulator.md: a test that passes with the fix says nothing of the fix.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from emulator.patches import FIXES
from tests.emulator.running import ROOT


@pytest.mark.long
@pytest.mark.parametrize("fix", [fix.name for fix in FIXES])
def test_without_the_fix_every_test_that_needs_it_fails(fix: str, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "tests/emulator", "--without", fix, "-q", "-p", "no:cacheprovider"]
    options = [f"--basetemp={tmp_path / 'run'}", f"--junit-xml={report}"]
    run = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=600)
    outcomes = {
        f"{case.get('classname')}::{case.get('name')}": {child.tag for child in case}
        for case in ElementTree.parse(report).iter("testcase")
    }
    assert outcomes, f"no test says that {fix} closes its gap\n{run.stdout[-2000:]}"
    others = {name: outcome for name, outcome in outcomes.items() if outcome != {"failure"}}
    assert not others, f"these need no {fix}, or could not run without it"

"""The emulator that the tests of this folder share, and those that a test starts for itself.

`--without FIX` leaves a fix out and runs only the tests that say it closes their gap: each has to fail then.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.emulator import running
from tests.emulator.running import Emulator

# what does not come without a fix need not be waited for as long as what comes late with it
PATIENCE_WITHOUT_A_FIX = 0.05


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--without", metavar="FIX", help="leave this fix out, and run the tests that need it")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    fix = config.getoption("--without")
    if fix:
        running.PATIENCE = PATIENCE_WITHOUT_A_FIX
        needing = [item for item in items if _closed_by(item) == fix]
        config.hook.pytest_deselected(items=[item for item in items if item not in needing])
        items[:] = needing


def _closed_by(item: pytest.Item) -> str | None:
    mark = item.get_closest_marker("promised")
    return mark.kwargs["closed_by"] if mark else None


@pytest.fixture(scope="session")
def left_out(pytestconfig: pytest.Config) -> dict[str, str]:
    """The environment of a server without the fix that was named, if one was."""
    fix = pytestconfig.getoption("--without")
    return {"EMULATOR_WITHOUT": fix} if fix else {}


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory, left_out: dict[str, str]) -> Iterator[Emulator]:
    started = Emulator(tmp_path_factory.mktemp("emulator"), **left_out).start()
    yield started
    assert started.stop() == 0


@pytest.fixture
def another_emulator(tmp_path: Path, left_out: dict[str, str]) -> Iterator[Callable[..., Emulator]]:
    """Starts further servers, for what needs its own environment or its own end."""
    started: list[Emulator] = []

    def start(**environment: str) -> Emulator:
        started.append(Emulator(tmp_path / f"emulator{len(started)}", **left_out | environment).start())
        return started[-1]

    yield start
    for one in started:
        if one.process is not None and one.process.poll() is None:
            one.stop()


@pytest.fixture
def ahead(emulator: Emulator) -> Iterator[Callable[[int], None]]:
    """Moves the clock of the emulator ahead of the machine's by so many seconds; right again after the test."""
    yield lambda seconds: emulator.fault(clock_ahead_seconds=seconds)
    emulator.fault()


@pytest.fixture
def crawls_hang(emulator: Emulator) -> Iterator[None]:
    """On the laptop a crawl would end before the next request."""
    emulator.fault(crawl_hangs=1)
    yield
    emulator.fault()


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"t{uuid.uuid4().hex[:12]}"

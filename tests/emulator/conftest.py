"""The emulator that the tests of this folder share, and those that a test starts for itself."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.emulator.running import Emulator


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    started = Emulator(tmp_path_factory.mktemp("emulator")).start()
    yield started
    assert started.stop() == 0


@pytest.fixture
def another_emulator(tmp_path: Path) -> Iterator[Callable[..., Emulator]]:
    """Starts further servers, for what needs its own environment or its own end."""
    started: list[Emulator] = []

    def start(**environment: str) -> Emulator:
        started.append(Emulator(tmp_path / f"emulator{len(started)}", **environment).start())
        return started[-1]

    yield start
    for one in started:
        if one.process is not None and one.process.poll() is None:
            one.stop()


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"t{uuid.uuid4().hex[:12]}"

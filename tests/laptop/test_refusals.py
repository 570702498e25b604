"""What a person gets who asks for something that cannot be: one clear line, exit 2, and nothing left running."""

from __future__ import annotations

import gzip
import shutil
import socket
from pathlib import Path

import pytest

from tests.laptop.conftest import Laptop


def make_file(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.ndjson"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "blank":
        path.write_bytes(b"\n\n  \n")
    elif kind == "binary":
        path.write_bytes(bytes(range(256)) * 64)
    elif kind == "damaged":
        path.write_bytes(gzip.compress(b'{"event_uuid": "x"}\n' * 5_000)[:-40].replace(b"\0", b"\1"))
    elif kind == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "there is no such file"),
        ("folder", "this is no file"),
        ("empty", "the file is empty"),
        ("blank", "the file is empty"),
        ("binary", "begins a JSON object"),
        ("damaged", "make the file again"),
    ],
)
@pytest.mark.parametrize("command", ["demo", "send"])
def test_an_input_that_holds_no_events(laptop: Laptop, tmp_path: Path, command: str, kind: str, reason: str) -> None:
    # given
    path = make_file(tmp_path, kind)
    # when
    ended = laptop.make(command, f"INPUT={path}")
    # then
    assert ended.code == 2
    assert len(ended.complaints) == 1, ended
    assert reason in ended.complaints[0]
    assert str(path) in ended.complaints[0]


@pytest.mark.parametrize("command", ["send", "query", "why", "alerts", "mute", "docs"])
def test_a_command_that_needs_a_lake_says_how_to_start_one(laptop: Laptop, tmp_path: Path, command: str) -> None:
    events = tmp_path / "one.ndjson"
    events.write_text('{"event_uuid": "1"}\n')
    ended = laptop.make(command, f"INPUT={events}", "SQL=select 1", "UUID=00000000-0000-4000-8000-000000000000")
    assert (ended.code, ended.complaints) == (2, ["eventlake: no lake is up; `make up` starts one"])


@pytest.mark.parametrize("count", ["0", "many", "-3", "1e3"])
def test_a_number_of_events_that_is_none(laptop: Laptop, count: str) -> None:
    ended = laptop.make("demo", f"EVENTS={count}")
    assert ended.code == 2
    assert len(ended.complaints) == 1
    assert "20000" in ended.complaints[0]


def test_a_taken_port_is_named_with_the_way_around_it(laptop: Laptop) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = laptop.make("up", LAKE_UI_PORT=port)
    assert ended.code == 2
    assert len(ended.complaints) == 1
    assert f"port {port}" in ended.complaints[0]
    assert "LAKE_UI_PORT=" in ended.complaints[0]


def test_down_and_status_where_nothing_runs(laptop: Laptop) -> None:
    assert (laptop.make("down").code, laptop.make("down").out) == (0, "no lake is up\n")
    assert "no lake is up" in laptop.make("status").out


def bare_machine(folder: Path, *tools: str) -> str:
    """A PATH on which there is nothing but these."""
    for tool in ("make", "sh", "awk", *tools):
        found = shutil.which(tool)
        assert found is not None
        (folder / tool).symlink_to(found)
    return str(folder)


def test_without_any_python(laptop: Laptop, tmp_path: Path) -> None:
    ended = laptop.make("demo", PATH=bare_machine(tmp_path))
    assert ended.code == 2
    assert len(ended.complaints) == 1
    assert "install Python 3.11 or 3.12" in ended.complaints[0]


def test_a_python_that_exists_but_does_not_run(laptop: Laptop, tmp_path: Path) -> None:
    """As the shims of pyenv: the command is there, the version behind it is not."""
    path = bare_machine(tmp_path)
    for name in ("python3", "python3.11", "python3.12"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n")
        (tmp_path / name).chmod(0o755)
    ended = laptop.make("demo", PATH=path)
    assert ended.code == 2
    assert "install Python 3.11 or 3.12" in ended.complaints[0]


def test_bare_make_lists_every_command(laptop: Laptop) -> None:
    listed = {line.split()[1] for line in laptop.make().out.splitlines()}
    assert listed >= {"demo", "test", "test-long", "up", "down", "status", "send", "query", "why", "contract", "check"}

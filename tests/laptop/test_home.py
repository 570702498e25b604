"""One lake's folder: ports, secrets, the env file, and what a fresh lake makes of an older one."""

from __future__ import annotations

import errno
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventlake.errors import TerminalError
from laptop import entry, home, lifecycle
from laptop.home import Home, Ports, choose_ports, write_private
from laptop.programs import Program, own_environment
from laptop.supervision import configuration_text
from laptop.tables import named_tables, needed_columns


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield int(taken.getsockname()[1])


def test_the_usual_port_when_it_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "port_is_free", lambda port: True)
    assert choose_ports({}, None, ui_may_move=False).ui == 8080


def test_a_demo_takes_another_port_when_the_usual_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "port_is_free", lambda port: port != 8080)
    assert choose_ports({}, None, ui_may_move=True).ui != 8080
    with pytest.raises(TerminalError, match=r"port 8080 of 127.0.0.1 is taken.*LAKE_UI_PORT="):
        choose_ports({}, None, ui_may_move=False)


def test_ports_of_last_time_are_kept_while_they_are_free(taken_port: int) -> None:
    free = home.free_port()
    assert choose_ports({}, Ports(ui=free, aws=free), ui_may_move=False) == Ports(ui=free, aws=free)
    assert choose_ports({"LAKE_UI_PORT": "0"}, Ports(ui=free, aws=taken_port), ui_may_move=False).aws != taken_port


@pytest.mark.parametrize("text", ["http", "-1", "70000", "80 80", "８０"])
def test_a_port_that_is_none(text: str) -> None:
    with pytest.raises(TerminalError, match=r"LAKE_AWS_PORT.*valid is a port"):
        choose_ports({"LAKE_AWS_PORT": text}, None, ui_may_move=False)


def test_the_env_file_is_read_by_a_shell_as_by_us(tmp_path: Path) -> None:
    values = {"LAKE_ONE": 'it\'s a $HOME "quote" `date` \\ end', "LAKE_TWO": ""}
    one = Home(tmp_path)
    one.write_env(values)
    assert one.read_env() == values
    shown = subprocess.run(["sh", "-c", f". '{one.env_file}'; printf %s \"$LAKE_ONE\""], capture_output=True, text=True)
    assert shown.stdout == values["LAKE_ONE"]


def test_secrets_stay_the_same_and_private(tmp_path: Path) -> None:
    one = Home(tmp_path)
    assert one.secrets() == one.secrets()
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert Home(tmp_path / "x").folder != one.folder


def test_a_fresh_lake_removes_a_demo_but_sets_a_kept_lake_aside(tmp_path: Path) -> None:
    one = Home(tmp_path)
    (tmp_path / "state").mkdir()
    write_private(tmp_path / "env", "")
    assert one.set_aside() is None
    assert list(tmp_path.iterdir()) == []

    (tmp_path / "state").mkdir()
    one.kept_mark.touch()
    aside = one.set_aside()
    assert aside is not None
    assert (aside / "state").is_dir()
    assert not (tmp_path / "state").exists()


def test_a_long_path_gets_a_short_folder_for_its_sockets(tmp_path: Path) -> None:
    deep = Home(tmp_path / ("deep" * 40))
    assert len(str(deep.run / ".s.PGSQL.5432")) < 107
    assert deep.run != Home(tmp_path / ("other" * 40)).run


def test_our_programs_hear_nothing_of_a_real_account() -> None:
    shell = {
        "AWS_PROFILE": "work",
        "AIRFLOW__CORE__DAGS_FOLDER": "/x",
        "PYTHONPATH": "/y",
        "HOME": "/h",
        "MAKEFLAGS": "n",
    }
    kept = own_environment(shell)
    assert kept["HOME"] == "/h"
    assert not set(kept) & (set(shell) - {"HOME"})


def test_a_configuration_survives_odd_values(tmp_path: Path) -> None:
    from supervisor.options import ServerOptions

    odd = "a 100% 'odd' value; with, commas=and %(marks)s;#too"
    program = Program("one", ["/bin/echo", odd], {"ODD": odd})
    one = Home(tmp_path)
    one.prepare()
    path = tmp_path / "supervisord.conf"
    path.write_text(configuration_text(one, [program]))
    options = ServerOptions()
    options.realize(["-c", str(path)])
    read = options.process_group_configs[0].process_configs[0]
    assert read.environment["ODD"] == odd
    assert odd in read.command


@pytest.mark.parametrize("odd", ['a "quote"', "a back\\slash", "two\nlines", "a comment ;", "another #"])
def test_what_supervisord_cannot_carry_is_refused(tmp_path: Path, odd: str) -> None:
    with pytest.raises(TerminalError, match="telling supervisord about"):
        configuration_text(Home(tmp_path), [Program("one", ["/bin/echo", odd])])


def test_a_full_disk_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(SystemExit) as ended:
        entry.run(main)
    assert ended.value.code == 2
    assert capsys.readouterr().err == "eventlake: the disk is full; free some space and run the command again\n"


def test_too_little_room_is_said_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1024**2

    monkeypatch.setattr(lifecycle.psutil, "disk_usage", lambda _path: Usage)
    with pytest.raises(TerminalError, match="1 MB left"):
        lifecycle.require_room(Home(tmp_path))


def test_the_tables_and_columns_that_a_query_names() -> None:
    sql = 'select e.event_uuid, count(*) from events.lesson_events e join "x" on 1=1 where ROLLUPS."daily_income".n > 1'
    assert named_tables(sql) == ["events.lesson_events", "rollups.daily_income"]
    assert needed_columns(sql, ["event_uuid", "producer", "n"]) == ("event_uuid", "n")
    assert needed_columns("select * from t", ["a", "b"]) == ("*",)
    assert needed_columns("select count(*) from t", ["a", "b"]) == ("a",)


def test_commands_stand_on_the_standard_library_until_they_are_installed() -> None:
    """bootstrap.py runs before anything is there."""
    script = home.CHECKOUT / "scripts" / "bootstrap.py"
    ended = subprocess.run(
        [sys.executable, "-S", "-I", str(script), "--help"], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stderr


def test_up_repeats_what_the_emulator_said_of_a_kill() -> None:
    killed = "emulator: was killed; all stores are back at 2026-11-21T09:00:00Z"
    first = "emulator: http://127.0.0.1:4566\nsomething\n"
    assert lifecycle.words_of_last_start(first) == []
    assert lifecycle.words_of_last_start(f"{first}{killed}\nemulator: http://127.0.0.1:4566\nmore\n") == [killed]
    # and does not repeat what it said of an earlier one
    assert lifecycle.words_of_last_start(f"{first}{killed}\n{first}{first}") == []

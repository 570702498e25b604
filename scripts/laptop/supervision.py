"""One lake's processes under supervisord: starting, looking, and ending every one of them.

supervisord listens on a socket in a private folder, never on a port. It and all that descends from it carry a random
token in their environment and belong to its session; by that, and never by a name or a bare process id, they are told
from other people's processes. What does not belong here: which programs there are.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import subprocess
import time
import xmlrpc.client
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from eventlake.errors import TerminalError
from laptop.home import ENVIRONMENTS, Home, write_json, write_private
from laptop.programs import Program

TOKEN = "EVENTLAKE_RUN"
ANSWER_TIMEOUT_SECONDS = 20
STOP_TIMEOUT_SECONDS = 90
KILL_AFTER_SECONDS = 8
# without a supervisor all are told at once, and the emulator writes its state down
REMAINS_SECONDS = 30
LOG_LINES = 12


@dataclass(frozen=True)
class ProgramState:
    name: str
    state: str
    pid: int
    seconds: int


@dataclass(frozen=True)
class Supervisor:
    home: Home
    process: psutil.Process
    token: str

    @staticmethod
    def running(home: Home) -> Supervisor | None:
        """The supervisor that runs this lake now. A left-over file, or a reused process id, is none."""
        try:
            noted = json.loads((home.run / "supervisor.json").read_text())
            process = psutil.Process(noted["pid"])
            if process.environ().get(TOKEN) != noted["token"] or process.status() == psutil.STATUS_ZOMBIE:
                return None
        except (OSError, ValueError, KeyError, psutil.Error):
            return None
        return Supervisor(home, process, noted["token"])

    @staticmethod
    def start(home: Home, programs: list[Program], environment: Mapping[str, str]) -> Supervisor:
        """supervisord in a session of its own, so that Ctrl-C reaches the person's command and not each program."""
        token = secrets.token_hex(16)
        (home.run / "up").unlink(missing_ok=True)
        configuration = home.run / "supervisord.conf"
        write_private(configuration, configuration_text(home, programs))
        supervisord = str(ENVIRONMENTS / "laptop" / "bin" / "supervisord")
        with (home.logs / "supervisord.log").open("ab") as log:
            started = subprocess.Popen(
                [supervisord, "--nodaemon", "--configuration", str(configuration)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=home.folder,
                env={**environment, TOKEN: token},
                start_new_session=True,
            )
        write_json(home.run / "supervisor.json", {"pid": started.pid, "token": token})
        supervisor = Supervisor(home, psutil.Process(started.pid), token)
        try:
            deadline = time.monotonic() + ANSWER_TIMEOUT_SECONDS
            while not supervisor.answers():
                if started.poll() is not None or time.monotonic() > deadline:
                    raise TerminalError(
                        f"starting supervisord: it does not answer; {supervisor.last_words('supervisord')}"
                    )
                time.sleep(0.05)
        except BaseException:
            supervisor.stop()
            raise
        return supervisor

    def answers(self) -> bool:
        try:
            return bool(self._ask("supervisor.getState"))
        except TerminalError:
            return False

    def states(self) -> list[ProgramState]:
        return [
            ProgramState(one["name"], one["statename"], one["pid"], max(0, one["now"] - one["start"]))
            for one in self._ask("supervisor.getAllProcessInfo")
        ]

    def start_program(self, name: str) -> None:
        self._ask("supervisor.startProcess", name, False)

    def require_healthy(self) -> None:
        """Raises with the last words of a program that gave up."""
        for one in self.states():
            if one.state in ("FATAL", "UNKNOWN"):
                raise TerminalError(f"program {one.name} does not stay up ({one.state}); {self.last_words(one.name)}")

    def last_words(self, name: str) -> str:
        path = self.home.logs / f"{name}.log"
        try:
            lines = path.read_text(errors="replace").splitlines()
        except OSError:
            lines = []
        told = " | ".join(line.strip() for line in lines[-3:] if line.strip())
        return f"its last words: {told or 'none'}; all of them: {path}"

    def keep(self) -> None:
        """From now on the lake outlives the command that started it."""
        (self.home.run / "up").touch()

    def stop(self) -> list[str]:
        """End everything that runs in this lake, in order; the names of those that had to be ended by force."""
        ours = list(self._processes())
        with contextlib.suppress(TerminalError):
            self._ask("supervisor.shutdown")
        with contextlib.suppress(psutil.Error):
            self.process.terminate()
            self.process.wait(STOP_TIMEOUT_SECONDS)
        left = {one.pid: one for one in [*ours, *self._processes()] if is_alive(one)}
        forced = [describe(one) for one in left.values()]
        end_all(list(left.values()), KILL_AFTER_SECONDS)
        forget_run(self.home)
        return forced

    def pids(self) -> set[int]:
        """Of everything that runs in this lake now: cheap enough to be asked again and again."""
        parents = dict(_parents())
        family = {self.process.pid}
        found = -1
        while found != len(family):
            found = len(family)
            family |= {pid for pid, parent in parents.items() if parent in family}
        return family

    def _processes(self) -> Iterator[psutil.Process]:
        """What descends from this supervisor: by token, by session, or by family."""
        family: set[int] = set()
        with contextlib.suppress(psutil.Error):
            family = {one.pid for one in self.process.children(recursive=True)} | {self.process.pid}
        for one in psutil.process_iter():
            if one.pid == os.getpid():
                continue
            if one.pid in family or _session(one.pid) == self.process.pid or _token(one) == self.token:
                yield one

    def _ask(self, method: str, *arguments: Any) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self.home.run / 'supervisor.sock'}")
        proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        try:
            return getattr(proxy, method)(*arguments)
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise TerminalError(f"asking the lake's supervisor ({method}): {error}") from error
        finally:
            transport.close()


@dataclass(frozen=True)
class Remains:
    """Programs that still run although their supervisor was killed outright."""

    home: Home
    processes: list[psutil.Process]

    def stop(self) -> list[str]:
        names = [describe(one) for one in self.processes]
        # the database last: it waits for its clients, and a client that lost it may wait for ever
        last = [one for one in self.processes if _name(one) == "postgres"]
        end_all([one for one in self.processes if one not in last], REMAINS_SECONDS)
        end_all(last, REMAINS_SECONDS)
        forget_run(self.home)
        return names


def left_behind(home: Home) -> Remains | None:
    """What carries the token of a supervisor that is no more."""
    try:
        noted = json.loads((home.run / "supervisor.json").read_text())
    except (OSError, ValueError):
        return None
    found = [one for one in psutil.process_iter() if _token(one) == noted["token"] or _session(one.pid) == noted["pid"]]
    return Remains(home, found) if found else None


def end_all(processes: list[psutil.Process], patience_seconds: float) -> None:
    for one in processes:
        with contextlib.suppress(psutil.Error):
            one.terminate()
    _, stubborn = psutil.wait_procs(processes, timeout=patience_seconds)
    for one in stubborn:
        with contextlib.suppress(psutil.Error):
            one.kill()
    psutil.wait_procs(stubborn, timeout=patience_seconds)


def forget_run(home: Home) -> None:
    for name in ("supervisor.json", "supervisor.sock", "supervisord.conf", "up"):
        (home.run / name).unlink(missing_ok=True)


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def describe(process: psutil.Process) -> str:
    return f"{_name(process)} ({process.pid})"


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return "ended"


def _parents() -> Iterator[tuple[int, int]]:
    """(process, its parent) for all processes of this machine."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                # the name in brackets may hold anything, so count from its end
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                yield int(entry.name), int(fields[1])


def _token(process: psutil.Process) -> str | None:
    try:
        value = process.environ().get(TOKEN)
        return None if value is None else str(value)
    except (psutil.Error, OSError):
        return None


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def configuration_text(home: Home, programs: list[Program]) -> str:
    """supervisord's configuration: a socket for us, and the programs."""
    sections = [
        "[unix_http_server]",
        f"file={_value(home.run / 'supervisor.sock')}",
        "chmod=0700",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
        "[supervisord]",
        f"logfile={_value(home.logs / 'supervisord-events.log')}",
        f"pidfile={_value(home.run / 'supervisord.pid')}",
        f"childlogdir={_value(home.logs)}",
        "silent=true",
        "umask=077",
    ]
    for program in programs:
        sections += _program_section(home, program)
    return "\n".join(sections) + "\n"


def _program_section(home: Home, program: Program) -> list[str]:
    pairs = ",".join(f"{name}={_quoted(value)}" for name, value in program.environment.items())
    return [
        f"[program:{program.name}]",
        "command=" + " ".join(_quoted(part) for part in program.command),
        *([f"environment={pairs}"] if pairs else []),
        f"directory={_value(program.working_folder)}",
        f"priority={program.priority}",
        f"autostart={str(program.autostart).lower()}",
        f"autorestart={program.autorestart}",
        "startsecs=1" if program.autorestart == "true" else "startsecs=0",
        f"stopsignal={program.stop_signal}",
        f"stopwaitsecs={program.stop_seconds}",
        f"stopasgroup={str(program.stop_as_group).lower()}",
        "killasgroup=true",
        "redirect_stderr=true",
        f"stdout_logfile={_value(home.logs / (program.name + '.log'))}",
        "stdout_logfile_maxbytes=20MB",
        "stdout_logfile_backups=1",
    ]


def _value(path: Path) -> str:
    return str(path).replace("%", "%%")


def _quoted(text: str) -> str:
    """For supervisord's shell-like lists, which have no way to carry these characters."""
    if any(odd in text for odd in ('"', "\n", "\\", " ;", " #")):
        raise TerminalError(
            f"telling supervisord about {text!r}: a double quote, a backslash, a line break, ' ;' and ' #' "
            "do not pass; rename the folder or the value"
        )
    return '"' + text.replace("%", "%%") + '"'

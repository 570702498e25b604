"""A lake in a page: what loads and rebuilds make of lines, without files, tables or Spark.

What is true of it in every order is held by tests/rules; that the job does the same is held by tests/spark.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from eventlake.load_plan import Landing
from eventlake.rebuild_plan import LoadedLanding, plan_rebuild

TABLE = "events.payment_events"
PAIR = ("payment", "order")


@dataclass(frozen=True)
class Line:
    """`number` is its place in the stream: who it is, and which of two copies is the first."""

    number: int
    uuid: str
    day: str
    content: str


@dataclass(frozen=True)
class Row:
    number: int
    landing: str
    content: str
    load_id: str


@dataclass(frozen=True)
class Contract:
    """`sees`: what of a content is a row's content; None: the line is bad."""

    sees: Callable[[str], str | None]


@dataclass
class ModelLake:
    landings: dict[str, Sequence[Line]]
    contract: Contract
    # (day, uuid) -> what readers see
    table: dict[tuple[str, str], Row] = field(default_factory=dict)
    loaded: set[str] = field(default_factory=set)
    quarantine: set[int] = field(default_factory=set)
    moves: int = 0

    def load(self, names: Iterable[str], load_id: str = "load") -> None:
        """These landings, loaded before or not: a crash may make a load meet them again."""
        wanted = [(name, line) for name in sorted(set(names)) for line in self.landings[name]]
        self._derive(wanted, set(), load_id)
        self.loaded |= {name for name, _ in wanted} | set(names)

    def rebuild(self, days: Collection[str], load_id: str = "rebuild") -> None:
        """The landings that the product's own rule takes for these days."""
        known = [self._loaded_landing(name) for name in sorted(self.loaded) if self.landings[name]]
        plan = plan_rebuild(load_id, known, sorted(days), {PAIR}, {}, (), "k", "now")
        names = {landing.object_key for landing in plan.landings}
        again = {key for key, row in self.table.items() if key[0] in days and row.landing in names}
        wanted = [(name, line) for name in sorted(names) for line in self.landings[name] if line.day in days]
        self._derive(wanted, again, load_id)

    @property
    def content(self) -> dict[tuple[str, str], str]:
        return {key: row.content for key, row in self.table.items()}

    def _derive(self, wanted: Sequence[tuple[str, Line]], again: Collection[tuple[str, str]], load_id: str) -> None:
        """Judges the lines, against each other and against the rows that stay; rows `again` give way to theirs."""
        groups: dict[tuple[str, str], list[tuple[str, Line]]] = {key: [] for key in again}
        for name, line in wanted:
            if self.contract.sees(line.content) is None:
                self.quarantine.add(line.number)
            else:
                groups.setdefault((line.day, line.uuid), []).append((name, line))
        for key, copies in groups.items():
            held = self.table.get(key)
            if held is None or key in again:
                self._settle(key, held, copies, load_id)
            self._judge_copies(self.table.get(key), copies)

    def _settle(self, key: tuple[str, str], held: Row | None, copies: list[tuple[str, Line]], load_id: str) -> None:
        def order(copy: tuple[str, Line]) -> tuple[bool, bool, int, str]:
            name, line = copy
            return (held is None or line.number != held.number, held is None or name != held.landing, line.number, name)

        if not copies:
            if held is not None:
                del self.table[key]
                self.moves += 1
            return
        name, line = min(copies, key=order)
        content = self.contract.sees(line.content)
        assert content is not None
        is_winner = held is not None and held.number == line.number
        new = Row(line.number, name, content, held.load_id if is_winner and held is not None else load_id)
        if held is None or held.content != new.content:
            self.moves += 1
        self.table[key] = new

    def _judge_copies(self, winner: Row | None, copies: list[tuple[str, Line]]) -> None:
        for _, line in copies:
            assert winner is not None
            if line.number == winner.number or self.contract.sees(line.content) == winner.content:
                self.quarantine.discard(line.number)
            else:
                self.quarantine.add(line.number)

    def _loaded_landing(self, name: str) -> LoadedLanding:
        days = [line.day for line in self.landings[name]]
        return LoadedLanding(Landing(name, "e", 1, "raw", *PAIR), min(days), max(days))

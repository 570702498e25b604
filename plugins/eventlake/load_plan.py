"""Which landings one load takes, written down before anything is read: the plan. And the name a load bears.

Belongs here: the rule, and the plan's text. Does not belong here: asking who waits, storing the plan (`eventlake_aws`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from eventlake.errors import TerminalError
from eventlake.release import Release
from eventlake.settings import EVENTS_DATABASE, UNCONTRACTED_TABLE

ERRORS_AREA = "errors"
STAGED_BRANCH_PREFIX = "load_"

# (event_type, event_subtype) pairs that have a contract
ContractIndex = Collection[tuple[str, str]]


class LoadKind(StrEnum):
    """A load adds the rows of landings that wait; a rebuild derives event days anew from landings that were loaded."""

    LOAD = "load"
    REBUILD = "rebuild"


@dataclass(frozen=True, order=True)
class Landing:
    """One raw object, as it landed. `pairs` is what an object of the error prefix holds; other keys say it."""

    object_key: str
    etag: str
    size_bytes: int
    area: str
    event_type: str
    event_subtype: str
    landed_at: str = ""
    pairs: frozenset[tuple[str, str]] = field(default=frozenset(), compare=False)

    @property
    def identity(self) -> tuple[str, str]:
        return (self.object_key, self.etag)

    def tables(self, contracts: ContractIndex) -> tuple[str, ...]:
        """Every table that some line of this landing goes to."""
        if self.area != ERRORS_AREA:
            return (table_of_pair(self.event_type, self.event_subtype, contracts),)
        # lines that cannot be read belong somewhere too: an error object without a known pair is nobody's otherwise
        named = {table_of_pair(event_type, subtype, contracts) for event_type, subtype in self.pairs}
        return tuple(sorted(named or {UNCONTRACTED_TABLE}))


@dataclass(frozen=True)
class TablePlan:
    """What goes into one table. `base_snapshot_id`: what readers saw when it was planned; None: never published.

    `rejected`: records of the type that admission rejected while these landings came in.
    """

    table: str
    event_type: str | None
    base_snapshot_id: int | None
    landings: tuple[Landing, ...]
    rejected: int = 0

    @property
    def size_bytes(self) -> int:
        return sum(landing.size_bytes for landing in self.landings)


@dataclass(frozen=True)
class LoadPlan:
    load_id: str
    created_at: str
    definitions_key: str
    areas: tuple[str, ...]
    tables: tuple[TablePlan, ...]
    left_waiting: int
    size_bytes: int
    kind: LoadKind = LoadKind.LOAD
    # of a rebuild: the event days it derives anew, and who asked for them
    days: tuple[str, ...] = ()
    requests: tuple[str, ...] = ()
    # of a load of landings that another one held: the decision that let them go
    release: Release | None = None

    @property
    def largest_table_bytes(self) -> int:
        return max((table.size_bytes for table in self.tables), default=0)

    @property
    def landings(self) -> tuple[Landing, ...]:
        """Each landing once, though an object of the error prefix stands under several tables."""
        by_identity = {landing.identity: landing for table in self.tables for landing in table.landings}
        return tuple(sorted(by_identity.values()))

    def table(self, name: str) -> TablePlan | None:
        return next((table for table in self.tables if table.table == name), None)

    def to_json(self) -> bytes:
        """The plan's bytes; the same plan gives the same bytes."""
        body = {
            "load_id": self.load_id,
            "created_at": self.created_at,
            "definitions_key": self.definitions_key,
            "areas": list(self.areas),
            "tables": [
                {
                    "table": table.table,
                    "event_type": table.event_type,
                    "base_snapshot_id": table.base_snapshot_id,
                    "landings": [_landing_to_json(landing) for landing in table.landings],
                    "rejected": table.rejected,
                }
                for table in self.tables
            ],
            "left_waiting": self.left_waiting,
            "bytes": self.size_bytes,
            "kind": self.kind,
            "days": list(self.days),
            "requests": list(self.requests),
            "release": self.release.to_json() if self.release else None,
        }
        return json.dumps(body, separators=(",", ":")).encode()

    @staticmethod
    def from_json(text: bytes | str) -> LoadPlan:
        """Raises TerminalError when the text is no plan."""
        try:
            body: dict[str, Any] = json.loads(text)
            return LoadPlan(
                load_id=body["load_id"],
                created_at=body["created_at"],
                definitions_key=body["definitions_key"],
                areas=tuple(body["areas"]),
                tables=tuple(
                    TablePlan(
                        table["table"],
                        table["event_type"],
                        table["base_snapshot_id"],
                        tuple(_landing_from_json(landing) for landing in table["landings"]),
                        table.get("rejected", 0),
                    )
                    for table in body["tables"]
                ),
                left_waiting=body["left_waiting"],
                size_bytes=body["bytes"],
                # a plan of an older deployment, adopted by a retry, is one of a load
                kind=LoadKind(body.get("kind", LoadKind.LOAD)),
                days=tuple(body.get("days", ())),
                requests=tuple(body.get("requests", ())),
                release=Release.from_json(body["release"]) if body.get("release") else None,
            )
        except (ValueError, KeyError, TypeError) as error:
            raise TerminalError(
                f"reading a load plan: received {type(error).__name__} {error}; "
                "valid is the JSON that plan_load wrote; clear the task plan_load to open a new generation of the load"
            ) from error


def table_of_type(event_type: str) -> str:
    return f"{EVENTS_DATABASE}.{event_type}_events"


def table_of_pair(event_type: str, event_subtype: str, contracts: ContractIndex) -> str:
    """The table that takes events of this name: its type's, or the one for names without a contract."""
    return table_of_type(event_type) if (event_type, event_subtype) in contracts else UNCONTRACTED_TABLE


def type_of_table(table: str) -> str | None:
    """The event type whose table this is; None for the table of names without a contract."""
    if table == UNCONTRACTED_TABLE:
        return None
    return table.removeprefix(f"{EVENTS_DATABASE}.").removesuffix("_events")


def tables_wanted(waiting: Iterable[Landing], contracts: ContractIndex) -> tuple[str, ...]:
    """Every table that somebody waits for: whose leases to ask for before the bases are read."""
    return tuple(sorted({table for landing in waiting for table in landing.tables(contracts)}))


def plan_load(
    load_id: str,
    waiting: Iterable[Landing],
    contracts: ContractIndex,
    base_snapshots: Mapping[str, int | None],
    leased_tables: Collection[str],
    byte_ceiling: int,
    definitions_key: str,
    created_at: str,
    areas: Sequence[str] = (),
    release: Release | None = None,
) -> LoadPlan:
    """Each table's oldest first, table beside table, up to the ceiling, at least one; a landing any of whose tables is
    leased elsewhere waits whole."""
    tables: dict[str, list[Landing]] = defaultdict(list)
    taken_bytes, left_waiting, is_full = 0, 0, False
    for wanted, landing in _in_turn(waiting, contracts):
        if any(table in leased_tables for table in wanted):
            left_waiting += 1
            continue
        # what comes later and is smaller must not overtake: a big one would wait for ever
        is_full = is_full or (bool(tables) and taken_bytes + landing.size_bytes > byte_ceiling)
        if is_full:
            left_waiting += 1
            continue
        taken_bytes += landing.size_bytes
        for table in wanted:
            tables[table].append(landing)
    entries = table_plans(tables, base_snapshots)
    return LoadPlan(
        load_id, created_at, definitions_key, tuple(areas), entries, left_waiting, taken_bytes, release=release
    )


def _in_turn(waiting: Iterable[Landing], contracts: ContractIndex) -> list[tuple[tuple[str, ...], Landing]]:
    """Every landing once, with its tables, in the order in which they are taken: by how many bytes wait before it for
    its own table, then by age. So a table whose loads fail, and whose landings pile up, takes no other's place."""
    before: dict[str, int] = defaultdict(int)
    placed: list[tuple[int, tuple[str, ...], Landing]] = []
    for landing in sorted({landing.identity: landing for landing in waiting}.values(), key=_age):
        tables = landing.tables(contracts)
        placed.append((max(before[table] for table in tables), tables, landing))
        for table in tables:
            before[table] += landing.size_bytes
    placed.sort(key=lambda one: (one[0], _age(one[2])))
    return [(tables, landing) for _, tables, landing in placed]


def table_plans(
    landings_by_table: Mapping[str, Iterable[Landing]], base_snapshots: Mapping[str, int | None]
) -> tuple[TablePlan, ...]:
    """The entries of a plan, the biggest first: the job starts with what takes longest."""
    entries = [
        TablePlan(name, type_of_table(name), base_snapshots.get(name), tuple(sorted(landings)))
        for name, landings in landings_by_table.items()
    ]
    return tuple(sorted(entries, key=lambda entry: (-entry.size_bytes, entry.table)))


# ---------------------------------------------------------------- the name of a load


@dataclass(frozen=True)
class KnownLoad:
    """A load that this Airflow run opened before: its name, and whether it has come to its end."""

    load_id: str
    has_ended: bool


_LOAD_ID = re.compile(r"(?P<dag_id>[A-Za-z0-9_.]+)-(?P<run>[0-9a-f]{10})-g(?P<generation>[0-9]+)")


def load_id_prefix(dag_id: str, run_id: str) -> str:
    """What the names of all loads of one Airflow run begin with."""
    digest = hashlib.sha256(f"{dag_id}\n{run_id}".encode()).hexdigest()[:10]
    return f"{dag_id}-{digest}-g"


def generation_of(load_id: str) -> int:
    match = _LOAD_ID.fullmatch(load_id)
    if match is None:
        raise TerminalError(
            f"reading a load id: received {load_id!r}; valid is <dag id>-<10 hex>-g<number>; take it from control.loads"
        )
    return int(match["generation"])


def adopt_or_open(dag_id: str, run_id: str, previous: Iterable[KnownLoad]) -> tuple[str, bool]:
    """(load id, adopted): a retry goes on with the run's open load; after an ended one the next generation opens."""
    prefix = load_id_prefix(dag_id, run_id)
    own = sorted(
        (load for load in previous if load.load_id.startswith(prefix)), key=lambda load: generation_of(load.load_id)
    )
    if not own:
        return f"{prefix}1", False
    newest = own[-1]
    if not newest.has_ended:
        return newest.load_id, True
    return f"{prefix}{generation_of(newest.load_id) + 1}", False


def branch_name(load_id: str, job_run_id: str) -> str:
    """The audit branch of one attempt of one load. Two attempts never share one."""
    load, job_run = (re.sub(r"[^A-Za-z0-9_]", "_", name) for name in (load_id, job_run_id))
    return f"{STAGED_BRANCH_PREFIX}{load}_{job_run[-12:]}"


def _age(landing: Landing) -> tuple[str, str, str]:
    return (landing.landed_at, landing.object_key, landing.etag)


def _landing_to_json(landing: Landing) -> dict[str, Any]:
    return {
        "object_key": landing.object_key,
        "etag": landing.etag,
        "size_bytes": landing.size_bytes,
        "area": landing.area,
        "event_type": landing.event_type,
        "event_subtype": landing.event_subtype,
    }


def _landing_from_json(body: Mapping[str, Any]) -> Landing:
    return Landing(
        body["object_key"],
        body["etag"],
        int(body["size_bytes"]),
        body["area"],
        body["event_type"],
        body["event_subtype"],
    )

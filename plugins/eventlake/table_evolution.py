"""How a table that exists gets to the columns that its contracts ask for, and what it can never get to.

Belongs here: the one rule of evolution, for `make check` and for the load alike. Does not belong here: which columns
contracts ask for (table_schema), what else a change of contracts does (contract_changes), talking to a catalog.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eventlake.contract_terms import EACH_ITEM, Path, path_text
from eventlake.errors import TerminalError
from eventlake.table_schema import Column


@dataclass(frozen=True)
class AddColumn:
    """Add a column, or a field of a struct. `path` has one part for each level, EACH_ITEM for an array's items."""

    path: Path
    sql_type: str
    comment: str = ""

    @property
    def dotted(self) -> str:
        return _dotted(self.path)

    def __str__(self) -> str:
        return f"adds {path_text(self.path)} as {self.sql_type}"


@dataclass(frozen=True)
class WidenColumn:
    """Let a column take larger values: int -> bigint or float -> double."""

    path: Path
    from_type: str
    to_type: str

    @property
    def dotted(self) -> str:
        return _dotted(self.path)

    def __str__(self) -> str:
        return f"widens {path_text(self.path)} from {self.from_type} to {self.to_type}"


TableChange = AddColumn | WidenColumn

_WIDER = {("int", "bigint"), ("float", "double")}
VALID_CHANGES = (
    "valid is to add a column, int -> bigint and float -> double; "
    "give the field a new name in the contract and let the old one stay as it is: rows already written keep its type"
)


class EvolutionError(TerminalError):
    """The contracts ask for a change of a table that rows already written would not survive."""


class Evolution(NamedTuple):
    """What a load would change in a table, and what it would refuse, in words."""

    changes: tuple[TableChange, ...]
    refusals: tuple[str, ...]


def plan_evolution(table: str, existing: Mapping[str, str], wanted: Sequence[Column]) -> tuple[TableChange, ...]:
    """What to change so that a table with the `existing` columns (name -> SQL type) can hold the `wanted` ones.

    Columns that nobody wants any more stay, and stay null in new rows. Raises EvolutionError, naming all columns that
    cannot be changed in place.
    """
    evolution = compare_columns(existing, wanted)
    if evolution.refusals:
        raise EvolutionError(
            f"fitting table {table} to its contracts: received {'; '.join(evolution.refusals)}; {VALID_CHANGES}"
        )
    return evolution.changes


def compare_columns(existing: Mapping[str, str], wanted: Sequence[Column]) -> Evolution:
    """As `plan_evolution`, with the refusals as an answer."""
    comparison = _Comparison()
    spellings = {name.lower(): name for name in existing}
    for column in wanted:
        comparison.files = column.files
        spelling = spellings.get(column.name.lower())
        if spelling is None:
            comparison.changes.append(AddColumn((column.name,), column.sql_type, column.told))
        elif spelling != column.name:
            comparison.refuse_spelling((column.name,), spelling)
        else:
            comparison.compare((column.name,), existing[column.name], column.sql_type)
    return Evolution(tuple(comparison.changes), tuple(comparison.refusals))


def changed_comments(existing: Mapping[str, str], wanted: Sequence[Column]) -> dict[str, str]:
    """What is to be said anew of columns that exist (name -> comment): rows never mind, so it is never refused.

    A column that nobody wants any more keeps what was said of it.
    """
    return {
        column.name: column.told
        for column in wanted
        if column.name in existing and existing[column.name] != column.told
    }


class _Comparison:
    """Changes and refusals so far. `files`: the contracts that name the column in hand."""

    def __init__(self) -> None:
        self.changes: list[TableChange] = []
        self.refusals: list[str] = []
        self.files: tuple[str, ...] = ()

    def compare(self, path: Path, old: str, new: str) -> None:
        if old == new:
            return
        if (old, new) in _WIDER:
            self.changes.append(WidenColumn(path, old, new))
        elif old.startswith("array<") and new.startswith("array<"):
            self.compare((*path, EACH_ITEM), old[6:-1], new[6:-1])
        elif old.startswith("struct<") and new.startswith("struct<"):
            self._compare_structs(path, old, new)
        else:
            self._refuse(f"{path_text(path)} is {old} and would become {new}")

    def _compare_structs(self, path: Path, old: str, new: str) -> None:
        old_fields = dict(_struct_fields(old))
        spellings = {name.lower(): name for name in old_fields}
        for name, sql_type in _struct_fields(new):
            spelling = spellings.get(name.lower())
            if spelling is None:
                self.changes.append(AddColumn((*path, name), sql_type))
            elif spelling != name:
                self.refuse_spelling((*path, name), spelling)
            else:
                self.compare((*path, name), old_fields[name], sql_type)

    def refuse_spelling(self, path: Path, spelling: str) -> None:
        self._refuse(f"{path_text(path)} differs only in case from the column {spelling}")

    def _refuse(self, text: str) -> None:
        self.refusals.append(f"{text} (contract {', '.join(self.files)})" if self.files else text)


def _struct_fields(sql_type: str) -> list[tuple[str, str]]:
    """`struct<a:string,b:array<bigint>>` as names and types; commas inside brackets do not divide."""
    parts: list[str] = [""]
    depth = 0
    for character in sql_type[len("struct<") : -1]:
        depth += (character in "<(") - (character in ">)")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [(name.strip(), inner.strip()) for name, _, inner in (part.partition(":") for part in parts)]


def _dotted(path: Path) -> str:
    return ".".join("element" if part == EACH_ITEM else part for part in path)

"""The terms in which contracts are spoken of: a contract, its fields, its conditions, and the error about them.

Does not belong here: reading JSON Schema (contract), columns (table_schema), judging rows (row_rules).

The dialect means: a field that is null is missing; 1.0 and 1e2 are no integers; an integer has 64 bits; a number with
`x-decimal: [precision, scale]` is exact, any other number is a double; a field without `type` is kept as JSON text and
not checked; fields that no contract names are never wrong (`additionalProperties` stays true); `x-protect` says what a
table gets in place of a personal text, while all rules are about the text as it was sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from eventlake.errors import TerminalError

Path = tuple[str, ...]

# the path part that stands for every item of an array
EACH_ITEM = "[]"

SCALAR_KINDS = ("string", "integer", "number", "boolean")
KINDS = (*SCALAR_KINDS, "object", "array")
PII_CLASSES = ("none", "personal", "sensitive")
# how a value may be kept from the readers of a table; what each does is in eventlake.protection
PROTECTIONS = ("hash", "mask")
# why an event is kept as long as it is; each is a promise to somebody, so none is made up in a contract
RETENTION_CLASSES = ("short", "standard", "account_lifetime", "financial", "legal", "security")

# the sender's envelope and what the lake adds: names that no field of a contract may have, in any case
RESERVED_NAMES = frozenset(
    {
        "event_uuid", "event_name", "created_at", "producer",
        "created_datetime", "event_type", "event_subtype", "event_detail", "event_date", "_lake", "_replay",
        "other_fields", "ingested_at", "shard_id", "sequence_number", "raw_object", "load_id",
    }
)  # fmt: skip

FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
# as admission takes it: admission.LONGEST_NAME_PART
NAME_PART = re.compile(r"[a-z0-9_]{1,64}")
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


class ContractError(TerminalError):
    """A contract says something that the dialect does not know, or contradicts itself."""

    def __init__(self, file: str, place: str, received: object, valid: str, next_step: str) -> None:
        self.file = file
        self.place = place
        self.received = received
        self.valid = valid
        self.next_step = next_step
        shown = (received if isinstance(received, str) and " " in received else repr(received))[:200]
        super().__init__(
            f"reading contract {file} at {place or 'its top'}: received {shown}; valid is {valid}; {next_step}"
        )


class Condition(NamedTuple):
    """One thing a keyword says about the value at a path. A missing value fulfils none."""

    path: Path
    keyword: str
    argument: Any


class Comparison(NamedTuple):
    """The argument of the keyword `compare`: the value at the rule's path stands in this relation to the right one."""

    operator: str
    right: Path
    as_double: bool


class Consequence(NamedTuple):
    """`if` these conditions all hold, `then` this one has to (a missing value passes, except for `required`)."""

    when: tuple[Condition, ...]
    then: Condition


class NamedComparison(NamedTuple):
    """One entry of `x-rules`."""

    name: str
    left: Path
    comparison: Comparison


@dataclass(frozen=True)
class Field:
    """One field of a contract. `kind` is one of KINDS, or `json` for a field that is kept as JSON text unchecked."""

    name: str
    kind: str
    description: str = ""
    pii: str = "none"
    protection: str = ""  # one of PROTECTIONS, or empty: the table holds what was sent
    required: bool = False
    decimal: tuple[int, int] | None = None
    # keyword and argument in the order of the dialect; numbers are int (integers), Decimal (exact) or float (doubles)
    keywords: tuple[tuple[str, Any], ...] = ()
    fields: tuple[Field, ...] = ()
    items: Field | None = None


@dataclass(frozen=True)
class Contract:
    """What the events of one (type, subtype) are, who answers for them, and how long they are kept."""

    event_type: str
    event_subtype: str
    title: str
    description: str
    owner: str
    retention_class: str
    event_names: tuple[str, ...]
    keeps_other_fields: bool
    fields: tuple[Field, ...]
    consequences: tuple[Consequence, ...]
    comparisons: tuple[NamedComparison, ...]
    file: str
    schema: Mapping[str, Any] = field(compare=False, repr=False, hash=False)

    @property
    def key(self) -> str:
        """`payment/order`, as in the bundle and in the file name."""
        return f"{self.event_type}/{self.event_subtype}"

    def field_at(self, path: Path) -> Field | None:
        """The field at a path, EACH_ITEM standing for an array's items; None where the contract names none."""
        found: Field | None = Field(name="", kind="object", fields=self.fields)
        for part in path:
            if found is None:
                return None
            found = found.items if part == EACH_ITEM else _named(found.fields, part)
        return found


def _named(fields: Iterable[Field], name: str) -> Field | None:
    return next((each for each in fields if each.name == name), None)


def as_exact_number(value: object) -> int | Decimal | None:
    """A JSON number as it was written: a float is read by its shortest text; anything else gives None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | Decimal):
        return value
    if isinstance(value, float):
        return Decimal(repr(value))
    return None


def path_text(path: Path) -> str:
    """A path as people write it: `address.city`, `items[].price`."""
    return ".".join(path).replace(f".{EACH_ITEM}", EACH_ITEM)

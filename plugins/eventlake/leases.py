"""One writer per table, from reading its base to publishing: who may take a lease.

Does not belong here: storing it (`eventlake_aws.lease_store`).
A lease keeps writers from working in vain. What keeps them from doing harm is the base check at publish.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from eventlake.load_plan import type_of_table

LEASE_SECONDS = 2 * 3600


@dataclass(frozen=True)
class Lease:
    name: str
    owner: str
    expires_at_epoch: int


class LeaseAnswer(Enum):
    TAKEN = "taken"
    RENEWED = "renewed"
    REFUSED = "refused"


def lease_of_table(table: str) -> str:
    """`type#payment` for a type's table. `*` can be no type's name, so it stands for the names without a contract."""
    if table.startswith("rollups."):
        return f"rollup#{table.removeprefix('rollups.')}"
    return f"type#{type_of_table(table) or '*'}"


def ask(current: Lease | None, owner: str, now_epoch: int) -> LeaseAnswer:
    """What an owner who asks now is told. An expired lease belongs to nobody."""
    if current is None or (current.owner != owner and current.expires_at_epoch <= now_epoch):
        return LeaseAnswer.TAKEN
    return LeaseAnswer.RENEWED if current.owner == owner else LeaseAnswer.REFUSED

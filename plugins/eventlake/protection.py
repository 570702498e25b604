"""What a table gets in place of a personal value: `x-protect` of a contract, and what each way of it does.

Belongs here: the meaning, as the reference that the job's class is held to, and which places of a table it is about.
Does not belong here: that class (line_reader/eventlake/Protector.java), where the key is kept (the template), what
stays as it was sent on purpose (docs/decisions/0013).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import StrEnum

from eventlake.contract_terms import EACH_ITEM, Contract, ContractError, Field, Path

MASK = "***"


class Protection(StrEnum):
    """As pages and comments say it."""

    HASHED = "hashed"
    MASKED = "masked"
    # of an address only whose it is says something about a person
    MASKED_BUT_DOMAIN = "masked but for the domain"


def protected(value: str | None, protection: Protection, key: str) -> str | None:
    """What the table gets for a value. A hash is keyed: of a plain one, a list of addresses would find the address."""
    if value is None:
        return None
    match protection:
        case Protection.HASHED:
            # half a pair of Unicode's surrogates has no UTF-8; engines write a question mark for it
            return hmac.new(key.encode(), value.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
        case Protection.MASKED:
            return MASK
        case Protection.MASKED_BUT_DOMAIN:
            _, at, domain = value.rpartition("@")
            return f"{MASK}{at}{domain}" if at else MASK


def protections(contracts_of_one_type: Iterable[Contract], kept_as_text: Collection[Path]) -> Mapping[Path, Protection]:
    """Each protected place of a type's table. `kept_as_text`: the places that it keeps as JSON text, unlooked into.

    Raises ContractError where contracts disagree on a place, or ask for what cannot be done there.
    """
    found: dict[Path, tuple[Protection | None, str]] = {}
    for contract in contracts_of_one_type:
        for path, field in _leaves(contract.fields):
            _require_seen(contract, path, field, kept_as_text)
            wanted = _protection(field)
            known, first_file = found.setdefault(path, (wanted, contract.file))
            if known != wanted:
                raise ContractError(
                    contract.file,
                    _place(path),
                    f"{wanted or 'no protection'} where {first_file} says {known or 'no protection'}",
                    "one protection of a name for all subtypes of a type",
                    "write the same x-protect (and format) in both contracts, or rename one field",
                )
    return {path: protection for path, (protection, _) in found.items() if protection is not None}


def described(protected_places: Mapping[Path, Protection]) -> str:
    """Of one column, in words: `hashed`, or `email hashed, name masked` of what lies in it."""
    return ", ".join(
        " ".join(filter(None, (".".join(part for part in path[1:] if part != EACH_ITEM), protection)))
        for path, protection in protected_places.items()
    )


def _protection(field: Field) -> Protection | None:
    if field.protection == "hash":
        return Protection.HASHED
    if field.protection == "mask":
        is_address = ("format", "email") in field.keywords
        return Protection.MASKED_BUT_DOMAIN if is_address else Protection.MASKED
    return None


def _leaves(fields: Iterable[Field], above: Path = ()) -> Iterator[tuple[Path, Field]]:
    for field in fields:
        path = (*above, field.name)
        yield path, field
        yield from _leaves(field.fields, path)
        if field.items is not None:
            # an item goes by the name EACH_ITEM
            yield from _leaves((field.items,), path)


def _require_seen(contract: Contract, path: Path, field: Field, kept_as_text: Collection[Path]) -> None:
    if field.protection and any(path[:length] in kept_as_text for length in range(1, len(path) + 1)):
        raise ContractError(
            contract.file,
            _place(path),
            f"x-protect {field.protection!r} within what the table keeps as JSON text",
            "a field that has a column, or a place in one, of its own",
            "describe what holds it less deep, narrower and alike in all subtypes, or leave it out of the contract",
        )


def _place(path: Path) -> str:
    return ".".join(("properties", *path))

"""Patches of contracts for the fields that drift names: drafted by a crawl, put in by a person.

A name without a contract gets a drafted one, as `make contract` drafts it from a file.
A patch has the shape of a JSON merge patch (RFC 7386) of one contract, and only adds. Like a draft it sends nothing to
quarantine that it was made from; a text whose every value looked at is a date, a time or a uuid is called one.

Belongs here: making a patch from lines of drift, putting it into a contract. Does not belong here: finding drift
(drift), where patches lie (eventlake_aws.crawl_report).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from eventlake.contract import Contract, ContractIndex, parse_contract
from eventlake.contract_draft import (
    DRAFT_OWNER,
    Seen,
    SeenSubtype,
    draft_field,
    draft_type,
    is_personal,
    why_no_fit,
)
from eventlake.contract_terms import EACH_ITEM, FIELD_NAME, SCALAR_KINDS, Path, path_text
from eventlake.crawled_types import crawled_type, json_schema_of
from eventlake.drift import DriftKind, DriftLine, Subtype, seen_at
from eventlake.errors import LakeError
from eventlake.load_plan import table_of_type

# an address names a person, so calling a text one is a person's decision
_FORMATS = ("date-time", "date", "uuid")
# what the subtypes of a type have to agree on; what else a neighbour asks of a value is its own
_SHARED = ("type", "x-decimal", "x-pii", "x-protect")


@dataclass
class Patches:
    """By contract (`payment/order`): patches, whole contracts for names that have none, why something has neither."""

    by_contract: dict[str, dict[str, Any]] = field(default_factory=dict)
    new_contracts: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def draft_patches(
    lines: Iterable[DriftLine], contracts: ContractIndex, samples: Mapping[Subtype, SeenSubtype], day: str
) -> Patches:
    """What a person may put into the contracts' files, as far as their tables could take it."""
    patches = Patches()
    new: dict[str, dict[str, SeenSubtype]] = {}
    for line in lines:
        sample = samples.get(line.subtype)
        if line.kind is DriftKind.NEW_FIELD:
            _add_patch(line, contracts, sample, day, patches)
        elif line.kind is DriftKind.NEW_TYPE and sample is not None and sample.event_names:
            new.setdefault(line.event_type, {})[line.event_subtype] = sample
        elif line.kind is DriftKind.NEW_TYPE:
            patches.left_out["/".join(line.subtype)] = (
                "no line of it was looked at; `make contract INPUT=...` drafts one"
            )
    for event_type, subtypes in new.items():
        _add_contracts(event_type, subtypes, contracts, patches)
    return patches


def _add_patch(
    line: DriftLine, contracts: ContractIndex, sample: SeenSubtype | None, day: str, patches: Patches
) -> None:
    contract = contracts.find(*line.subtype)
    if contract is None or not FIELD_NAME.fullmatch(line.path[-1]):
        return
    addition = _patch_of(line, sample, contracts.of_type(line.event_type), day)
    patch = with_patch(patches.by_contract.get(contract.key, {}), addition)
    misfit = _why_no_fit(contract, patch, contracts)
    if misfit is None:
        patches.by_contract[contract.key] = patch
    else:
        patches.left_out[f"{contract.key} {line.field}"] = misfit


def _add_contracts(
    event_type: str, subtypes: Mapping[str, SeenSubtype], contracts: ContractIndex, patches: Patches
) -> None:
    known = contracts.of_type(event_type)
    for subtype, schema in draft_type(subtypes, event_type, DRAFT_OWNER).items():
        key = f"{event_type}/{subtype}"
        misfit = why_no_fit(table_of_type(event_type), known, [parse_contract(key, schema)]) if known else None
        if misfit is None:
            patches.new_contracts[key] = schema
        else:
            patches.left_out[key] = misfit


def _patch_of(
    line: DriftLine, sample: SeenSubtype | None, contracts_of_type: Iterable[Contract], day: str
) -> dict[str, Any]:
    drafted = _from_lines(line, sample) or _from_crawler(line)
    name, schema = drafted.name, drafted.schema
    pii = "personal" if is_personal(name) else schema.get("x-pii", "none")
    said = {"description": f"Seen {drafted.seen}, {day}; say here what it is.", "x-pii": pii}
    for contract in contracts_of_type:
        neighbour = _property_at(contract.schema, line.path)
        if neighbour is not None and _is_alike(drafted, *neighbour):
            # a field is the same in all subtypes of a type: they share the column, and who may see it
            name, known = neighbour
            own = {"format": schema["format"]} if "format" in schema and "x-protect" not in known else {}
            schema = own | {keyword: known[keyword] for keyword in _shared_keywords(known) if keyword in known}
            said = {"description": f"Seen {drafted.seen}, {day}; as in {contract.key}."}
    return _nested((*line.path[:-1], name), schema | said)


class _Drafted(NamedTuple):
    """`is_as_sent`: the name is spelled as in events."""

    name: str
    schema: dict[str, Any]
    seen: str
    is_as_sent: bool


def _from_lines(line: DriftLine, sample: SeenSubtype | None) -> _Drafted | None:
    found = seen_at(sample.fields, line.path) if sample is not None else None
    if sample is None or found is None or not found.count:
        return None
    name = _spelling(sample.fields, line.path)
    level = len([part for part in line.path if part != EACH_ITEM])
    schema = _refined(draft_field(name, found, level), found)
    return _Drafted(name, schema, f"in {found.count} of {sample.fields.count} lines looked at", True)


def _from_crawler(line: DriftLine) -> _Drafted:
    schema = json_schema_of(crawled_type(line.seen)) if " or " not in line.seen else {}
    return _Drafted(line.path[-1], schema, "by a crawler, which writes names in lower case", False)


def _property_at(document: Mapping[str, Any], path: Path) -> tuple[str, Mapping[str, Any]] | None:
    """The spelling and the property of a plain field that a contract has at a path, its last name in any case."""
    holder: Any = document
    for part in path[:-1]:
        holder = holder.get("items", {}) if part == EACH_ITEM else holder.get("properties", {}).get(part, {})
    properties = holder.get("properties", {}).items()
    return next(
        (
            found
            for found in properties
            if found[0].lower() == path[-1].lower() and found[1].get("type") in SCALAR_KINDS
        ),
        None,
    )


def _shared_keywords(known: Mapping[str, Any]) -> tuple[str, ...]:
    """How an address is masked depends on its format; any other format is what a neighbour asks of its own values."""
    return (*_SHARED, "format") if "x-protect" in known else _SHARED


def _is_alike(drafted: _Drafted, name: str, known: Mapping[str, Any]) -> bool:
    kind = drafted.schema.get("type")
    same_kind = kind == known["type"] or (kind, known["type"]) == ("integer", "number")
    return same_kind and (name == drafted.name or not drafted.is_as_sent)


def _spelling(sample: Seen, path: Path) -> str:
    """The name as it is sent, the most frequent one where senders differ in case."""
    holder = seen_at(sample, path[:-1])
    assert holder is not None
    spellings = [name for name in holder.fields if name.lower() == path[-1].lower() and holder.fields[name].count]
    return max(spellings, key=lambda name: holder.fields[name].count)


def _refined(schema: dict[str, Any], seen: Seen) -> dict[str, Any]:
    """The schema with formats where all texts have one."""
    refined = dict(schema)
    if schema.get("type") == "string":
        found = next((name for name in _FORMATS if name in seen.formats), None)
        return refined | ({"format": found} if found else {})
    if schema.get("type") == "array" and seen.items is not None:
        refined["items"] = _refined(schema["items"], seen.items)
    elif "properties" in schema:
        inner = schema["properties"].items()
        refined["properties"] = {name: _refined(each, seen.fields[name]) for name, each in inner}
    return refined


def _nested(path: Path, schema: dict[str, Any]) -> dict[str, Any]:
    """The schema in its place: under `items` of an array, under `properties` of all else."""
    for part in reversed(path):
        schema = {"items": schema} if part == EACH_ITEM else {"properties": {part: schema}}
    return schema


def _why_no_fit(contract: Contract, patch: Mapping[str, Any], contracts: ContractIndex) -> str | None:
    try:
        patched = parse_contract(contract.file, with_patch(contract.schema, patch))
    except LakeError as error:
        return str(error)
    return why_no_fit(table_of_type(contract.event_type), contracts.of_type(contract.event_type), [patched])


def with_patch(document: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The document with what the patch adds; what the document says already stays as it says it."""
    merged: dict[str, Any] = copy.deepcopy(dict(document))
    for name, value in patch.items():
        known = merged.get(name)
        if name not in merged:
            merged[name] = copy.deepcopy(value)
        elif isinstance(known, Mapping) and isinstance(value, Mapping):
            merged[name] = with_patch(known, value)
    return merged


def added_fields(document: Mapping[str, Any], patch: Mapping[str, Any], above: Path = ()) -> list[str]:
    """The fields that a patch would add to a contract's document, as people write them."""
    added: list[str] = []
    if isinstance(patch.get("items"), Mapping):
        added += added_fields(document.get("items", {}), patch["items"], (*above, EACH_ITEM))
    for name, value in patch.get("properties", {}).items():
        known = document.get("properties", {}).get(name)
        if known is None:
            added.append(path_text((*above, name)))
        else:
            added += added_fields(known, value, (*above, name))
    return added

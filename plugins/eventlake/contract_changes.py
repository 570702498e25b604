"""What an edit of contracts does to a lake that has obeyed the old ones, where no table's columns show it.

Belongs here: two sets of contracts compared, and words for a person. Does not belong here: the columns of tables
(table_evolution), asking a lake what has landed (eventlake_aws.live_contracts).

An edit that makes rows wrong which were right is legal, and said: rows in the table stay as they are, later ones and
those of rebuilt days are judged by the contract of their day. An edit that leaves what has landed without a contract
is refused, for nobody could make those rows anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from eventlake.contract import Contract, ContractIndex
from eventlake.contract_terms import EACH_ITEM, PII_CLASSES, Comparison, Field, Path, path_text
from eventlake.row_rules import RowRule, row_rules

_LOWEST = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems"})
_HIGHEST = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems"})
# what a column's type says; how that may change is table_evolution's
_OF_COLUMNS = frozenset({"type", "decimal"})

_LONGEST_ARGUMENT = 80

NARROWER = (
    "rows in the table stay; later ones that break it go to quarantine, and so do those of a day that is rebuilt: "
    "tell whoever sends them first"
)
WIDER = "rows that it had sent to quarantine come back by a rebuild of their days (replay_events)"


class Landed(StrEnum):
    """What of an event the lake is asked for, to know whether a change leaves it without a contract."""

    SUBTYPE = "event_subtype"
    NAME = "event_name"


@dataclass(frozen=True)
class ContractChange:
    """`contract` is `payment/order`. `refused_if_landed`: the change is refused where such an event has landed."""

    contract: str
    what: str
    next_step: str
    refused_if_landed: tuple[Landed, str] | None = None

    def __str__(self) -> str:
        return f"contract {self.contract}: {self.what}; {self.next_step}"


def contract_changes(old: ContractIndex, new: ContractIndex) -> list[ContractChange]:
    """Everything that an edit changes for events that may have come already; a new contract changes nothing of it."""
    changes: list[ContractChange] = []
    for before in old:
        after = new.find(before.event_type, before.event_subtype)
        if after is None:
            changes.append(_gone(before))
        else:
            changes += _of_contract(before, after)
    return changes


def _gone(before: Contract) -> ContractChange:
    return ContractChange(
        before.key,
        "it is deployed and is no file any more: its events would go to events.uncontracted",
        "put the file back; it may go when no raw folder holds its events any more",
        (Landed.SUBTYPE, before.event_subtype),
    )


def _of_contract(before: Contract, after: Contract) -> Iterator[ContractChange]:
    for name in before.event_names:
        if name not in after.event_names:
            yield ContractChange(
                before.key,
                f"the event name {name} is listed no more",
                "put it back: a contract lists what has landed",
                (Landed.NAME, name),
            )
    narrower, wider = _rule_changes(before, after)
    if narrower:
        yield ContractChange(before.key, f"asks for more: {'; '.join(narrower)}", NARROWER)
    if wider:
        yield ContractChange(before.key, f"asks for less: {'; '.join(wider)}", WIDER)
    yield from _field_changes(before, after)
    yield from _promise_changes(before, after)


def _rule_changes(before: Contract, after: Contract) -> tuple[list[str], list[str]]:
    """What the later contract asks for and the earlier did not, and the other way round."""
    old, new = _rules(before), _rules(after)
    narrower, wider = [], []
    for key, rule in new.items():
        known = old.get(key)
        if known is None:
            # a field that is new can break nothing that was there, unless it has to be there
            if rule.keyword == "required" or before.field_at(rule.path) is not None:
                narrower.append(_said(rule))
        elif known.argument != rule.argument:
            is_narrower, is_wider = _directions(known, rule)
            told = f"{_said(rule)}, was {_shown(known.argument)}"
            narrower += [told] if is_narrower else []
            wider += [told] if is_wider else []
    wider += [_said(rule) for key, rule in old.items() if key not in new and after.field_at(rule.path) is not None]
    return narrower, wider


def _rules(contract: Contract) -> dict[tuple[Any, ...], RowRule]:
    """By what makes two rules one that was edited; one under a condition is another as soon as anything differs."""
    return {
        (rule.path, rule.keyword, rule.when, rule.argument) if rule.when else (rule.name,): rule
        for rule in row_rules(contract)
        if rule.keyword not in _OF_COLUMNS
    }


def _directions(old: RowRule, new: RowRule) -> tuple[bool, bool]:
    """Whether the later rule refuses what the earlier took, and takes what the earlier refused."""
    if new.keyword in _LOWEST:
        return new.argument > old.argument, new.argument < old.argument
    if new.keyword in _HIGHEST:
        return new.argument < old.argument, new.argument > old.argument
    if new.keyword == "enum":
        gone = any(each not in new.argument for each in old.argument)
        return gone, any(each not in old.argument for each in new.argument)
    return True, True


def _said(rule: RowRule) -> str:
    condition = " and ".join(f"{path_text(each.path)} {_asked(each.keyword, each.argument)}" for each in rule.when)
    return f"{rule.field} {_asked(rule.keyword, rule.argument)}{f' where {condition}' if condition else ''}"


def _asked(keyword: str, argument: Any) -> str:
    if keyword == "required":
        return "has to be there"
    return _shown(argument) if keyword == "compare" else f"{keyword} {_shown(argument)}"


def _shown(argument: Any) -> str:
    if isinstance(argument, Comparison):
        return f"{argument.operator} {path_text(argument.right)}"
    text = ", ".join(map(str, argument)) if isinstance(argument, tuple | list) else str(argument)
    return text if len(text) <= _LONGEST_ARGUMENT else f"{text[: _LONGEST_ARGUMENT - 1]}…"


def _field_changes(before: Contract, after: Contract) -> Iterator[ContractChange]:
    old, new = dict(_paths(before.fields)), dict(_paths(after.fields))
    gone = [path_text(path) for path in old if path not in new]
    if gone:
        kept = ", their values come in other_fields" if after.keeps_other_fields else ", their values are not kept"
        yield ContractChange(
            before.key,
            f"names {', '.join(gone)} no more: the columns stay and are null in later rows{kept}",
            'deprecate the field instead ("deprecated": true) while somebody reads it',
        )
    less = [path_text(path) for path in old if path in new and _weight(new[path]) < _weight(old[path])]
    if less:
        yield ContractChange(
            before.key, f"calls {', '.join(less)} less personal than before", "make sure that whoever guards it knows"
        )

    otherwise = [
        f"{path_text(path)} by {new[path].protection or 'nothing'}, was {field.protection or 'nothing'}"
        for path, field in old.items()
        if path in new and new[path].protection != field.protection
    ]
    if otherwise:
        yield ContractChange(
            before.key,
            f"protects {'; '.join(otherwise)}",
            "rows in the table keep what they hold until their days are rebuilt (replay_events)",
        )


def _paths(fields: Iterable[Field], above: Path = ()) -> Iterator[tuple[Path, Field]]:
    for field in fields:
        path = (*above, field.name)
        yield path, field
        if field.items is not None:
            yield from _paths(field.items.fields, (*path, EACH_ITEM))
        yield from _paths(field.fields, path)


def _weight(field: Field) -> int:
    return PII_CLASSES.index(field.pii)


def _promise_changes(before: Contract, after: Contract) -> Iterator[ContractChange]:
    if before.retention_class != after.retention_class:
        yield ContractChange(
            before.key,
            f"is kept as {after.retention_class}, was {before.retention_class}",
            "the old class was a promise to somebody: make sure that they know",
        )
    if before.keeps_other_fields and not after.keeps_other_fields:
        yield ContractChange(
            before.key,
            "does not keep other fields any more",
            "what no contract names is only in raw from now on; a rebuild brings it back if the contract does",
        )

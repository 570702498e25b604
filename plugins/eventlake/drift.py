"""What the crawlers saw against what the contracts say: fields and types that are new, missing or other than agreed.

The crawler guesses from samples, so it reports and never decides: an additive line comes with a patch of the contract
(contract_patch), a breaking one with an alert. Compared is one subtype's folders of the last days with its own
contract: what came once, long ago, is no news.

Belongs here: the comparison, and how far lines of raw outweigh a crawler's guess. Does not belong here: asking the
catalog (`crawl_report`), the crawler's words for types (crawled_types).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from eventlake.contract import Contract, ContractIndex
from eventlake.contract_draft import BEYOND_DOUBLES, Seen, SeenSubtype
from eventlake.contract_terms import EACH_ITEM, FIELD_NAME, KINDS, RESERVED_NAMES, Field, Path, path_text
from eventlake.crawled_types import CrawledType, crawled_type
from eventlake.table_schema import JSON_TEXT, json_text_paths

# what every event has whatever its contract says, what no contract may name, and the folders' names
_NOT_OF_CONTRACTS = RESERVED_NAMES | {"year", "month", "day"}

Subtype = tuple[str, str]


class DriftKind(StrEnum):
    NEW_FIELD = "new_field"
    MISSING_FIELD = "missing_field"
    CHANGED_TYPE = "changed_type"
    VANISHED_TYPE = "vanished_type"
    VANISHED_SUBTYPE = "vanished_subtype"
    NEW_TYPE = "new_type"


class DriftSeverity(StrEnum):
    BREAKING = "breaking"
    ADDITIVE = "additive"
    NOTICE = "notice"


@dataclass(frozen=True, order=True)
class DriftLine:
    """`field` is a path as people write it (`lines[].net`), its last name in lower case where only a crawler saw it."""

    event_type: str
    event_subtype: str
    field: str
    kind: DriftKind
    severity: DriftSeverity
    seen: str
    expected: str

    @property
    def subtype(self) -> Subtype:
        return self.event_type, self.event_subtype

    @property
    def path(self) -> Path:
        return tuple(self.field.replace(EACH_ITEM, f".{EACH_ITEM}").split("."))


@dataclass(frozen=True)
class CrawledSubtype:
    """The fields that the folders of one type and subtype show, by their names in lower case."""

    event_type: str
    event_subtype: str
    fields: Mapping[str, CrawledType]


def find_drift(
    crawled: Iterable[CrawledSubtype], contracts: ContractIndex, seen_before: Iterable[Subtype] = ()
) -> list[DriftLine]:
    """Lines in order of type and field. `seen_before`: what the crawl before this one saw."""
    lines: list[DriftLine] = []
    now: set[Subtype] = set()
    for one in crawled:
        now.add((one.event_type, one.event_subtype))
        contract = contracts.find(one.event_type, one.event_subtype)
        if contract is None:
            # its events can be queried already, in events.uncontracted
            lines.append(_line(one, (), DriftKind.NEW_TYPE, DriftSeverity.ADDITIVE, "a folder", "a contract"))
        else:
            texts = json_text_paths(contracts.of_type(one.event_type))
            lines += _Comparison(contract, texts).fields((), contract.fields, one.fields)
    return sorted([*lines, *_vanished(now, seen_before)])


def _line(
    one: CrawledSubtype | Contract, path: Path, kind: DriftKind, severity: DriftSeverity, seen: str, expected: str
) -> DriftLine:
    return DriftLine(one.event_type, one.event_subtype, path_text(path), kind, severity, seen, expected)


def _vanished(now: set[Subtype], before: Iterable[Subtype]) -> Iterator[DriftLine]:
    """A type that is gone takes its subtypes along, in one line."""
    types = {event_type for event_type, _ in now}
    gone = {pair for pair in before if pair not in now and pair[1]}
    said = ("no folder", "seen by the last crawl")
    for event_type in {each for each, _ in before} - types:
        yield DriftLine(event_type, "", "", DriftKind.VANISHED_TYPE, DriftSeverity.NOTICE, *said)
    for event_type, event_subtype in gone:
        if event_type in types:
            yield DriftLine(event_type, event_subtype, "", DriftKind.VANISHED_SUBTYPE, DriftSeverity.NOTICE, *said)


class _Comparison:
    """One contract with what was seen, level by level. What the table keeps as JSON text is not looked into."""

    def __init__(self, contract: Contract, text_paths: frozenset[Path]) -> None:
        self._contract = contract
        self._text_paths = text_paths

    def fields(self, above: Path, declared: Iterable[Field], seen: Mapping[str, CrawledType]) -> Iterator[DriftLine]:
        known = {field.name.lower(): field for field in declared}
        for name, kind in seen.items():
            if name in known:
                yield from self._value((*above, known[name].name), known[name], kind)
            elif above or name not in _NOT_OF_CONTRACTS:
                severity = self._severity_of_new(above, name)
                yield self._told((*above, name), DriftKind.NEW_FIELD, severity, str(kind), "no such field")
        for name, field in known.items():
            if name not in seen:
                # an optional field may well be in what the crawler did not read, or in no event of these days
                severity = DriftSeverity.BREAKING if field.required else DriftSeverity.NOTICE
                expected = f"a required {field.kind}" if field.required else f"an optional {field.kind}"
                yield self._told((*above, field.name), DriftKind.MISSING_FIELD, severity, "no such field", expected)

    def _severity_of_new(self, above: Path, name: str) -> DriftSeverity:
        """Nothing is lost, or nothing can be done: a notice."""
        kept = not above and self._contract.keeps_other_fields
        return DriftSeverity.NOTICE if kept or not FIELD_NAME.fullmatch(name) else DriftSeverity.ADDITIVE

    def _value(self, path: Path, field: Field, seen: CrawledType) -> Iterator[DriftLine]:
        if field.kind == JSON_TEXT or path in self._text_paths:
            return
        if not seen.is_a(field.kind):
            yield self._told(path, DriftKind.CHANGED_TYPE, DriftSeverity.BREAKING, str(seen), field.kind)
        elif field.kind == "object" and seen.fields:
            yield from self.fields(path, field.fields, seen.fields)
        elif field.items is not None and seen.items is not None:
            yield from self._value((*path, EACH_ITEM), field.items, seen.items)

    def _told(self, path: Path, kind: DriftKind, severity: DriftSeverity, seen: str, expected: str) -> DriftLine:
        return _line(self._contract, path, kind, severity, seen, expected)


def weighed(lines: Iterable[DriftLine], samples: Mapping[Subtype, SeenSubtype]) -> list[DriftLine]:
    """The lines, with a breaking one as a notice where lines of raw say that the crawler guessed wrong.

    A crawler calls a text what is always null in a folder, or the items of an array that is always empty, and it may
    not have read the file that holds a field. `samples`: what some lines of a subtype hold.
    """
    return sorted(_weighed(line, samples.get(line.subtype)) for line in lines)


def _weighed(line: DriftLine, sample: SeenSubtype | None) -> DriftLine:
    if line.severity is not DriftSeverity.BREAKING or sample is None or not sample.fields.count:
        return line
    found = seen_at(sample.fields, line.path)
    kinds = found.kinds if found is not None else set()
    if line.kind is DriftKind.MISSING_FIELD and kinds:
        return replace(line, severity=DriftSeverity.NOTICE, seen="in lines of raw, not by the crawler")
    if line.kind is DriftKind.CHANGED_TYPE and _may_be_nothing(line) and kinds <= _KINDS_AS.get(line.expected, set()):
        held = " and ".join(sorted(kinds)) or "nothing"
        told = f"{line.seen}; {sample.fields.count} lines of raw hold {held} there"
        return replace(line, severity=DriftSeverity.NOTICE, seen=told)
    return line


def _may_be_nothing(line: DriftLine) -> bool:
    """Whether all that does not fit is what a crawler says of nothing."""
    return {word for word in line.seen.split(" or ") if not crawled_type(word).is_a(line.expected)} == {"string"}


_KINDS_AS = {kind: {kind} for kind in KINDS} | {
    "integer": {"integer", BEYOND_DOUBLES},
    "number": {"integer", "number", BEYOND_DOUBLES},
}


def seen_at(sample: Seen, path: Path) -> Seen | None:
    """What lies at a path, its names in any case."""
    found: Seen | None = sample
    for part in path:
        if found is None:
            return None
        if part == EACH_ITEM:
            found = found.items
        else:
            found = next((inner for name, inner in found.fields.items() if name.lower() == part.lower()), None)
    return found

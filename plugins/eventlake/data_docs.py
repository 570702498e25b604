"""Data Docs: what the gate's suites said, as pages that a person opens from an alert or a run. A static site.

Belongs here: what the pages say and what they remember. Names, counts and event uuids only: never a value of a row, nor
the words of an exception, which may hold one. Does not belong here: escaping (`markup`), storing (`eventlake_aws`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

from eventlake.markup import Markup, data_block, document, element, joined, read_data_block
from eventlake.receipt import ExpectationResult, Validation, kind_of_exception

INDEX_PATH = "index.html"
# a table's page goes back so far; the table control.validations keeps all
KEPT_VALIDATIONS = 30
# the bucket lets pages go when they are a year old: nothing may link to one that is gone
KEPT_DAYS = 360
SHOWN_SAMPLES = 5

_STATE = "state"
_BADNESS = (False, None, True)
_MARKS = {True: ("pass", "✓", "passed"), False: ("fail", "✗", "failed"), None: ("none", "?", "no answer")}
_NOT_ASKED = ("none", "·", "not asked")
_VERDICTS = {
    "published": ("pass", "published"),
    "empty": ("pass", "nothing to publish"),
    "held": ("fail", "held"),
    "failed": ("fail", "failed"),
    "stale": ("none", "overtaken"),
}
_MEANS = {
    "published": "Readers see these rows.",
    "empty": "Nothing differed, so no snapshot moved.",
    "held": "Readers do not see these rows. Somebody has to decide: see the runbook load-held.",
    "failed": "The job gave no judgement, and readers see nothing of it. The next run tries again.",
    "stale": "Somebody else wrote the table meanwhile, so nothing of this was published.",
}
_PRIVACY = (
    "These pages hold names, counts and event uuids, and no value of any row. "
    "To see a row, look its uuid up where you may read the table."
)
_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem;overflow-wrap:anywhere}
h1{font-size:1.4rem;margin:.5rem 0}h2{font-size:1.1rem;margin:1.5rem 0 .3rem}
div.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #8886;overflow-wrap:normal}
.pass{color:#177a38}.fail{color:#c4271b;font-weight:600}.none{color:#8a6100}
.small{font-size:.85rem}code{font-size:.9em}.history a{text-decoration:none;padding:0 .15rem}
@media(prefers-color-scheme:dark){.pass{color:#5fd38a}.fail{color:#ff8a80}.none{color:#e8b84a}a{color:#8ab4f8}}
"""


@dataclass(frozen=True)
class Judged:
    """How one table of a load, a rebuild or a rollup ended, and what its suite said. `at`: ISO 8601, UTC."""

    table: str
    load_id: str
    job_run_id: str
    kind: str
    status: str
    reasons: tuple[str, ...]
    at: str
    validation: Validation | None


@dataclass(frozen=True)
class Summary:
    """What a table's page and the index remember of a validation. `marks`: expectation -> passed, failed, no answer."""

    table: str
    load_id: str
    status: str
    at: str
    marks: Mapping[str, bool | None]

    @property
    def failed(self) -> int:
        return sum(mark is not True for mark in self.marks.values())


@dataclass(frozen=True)
class IndexEntry:
    """One line of the index: a table and its last validation."""

    owner: str
    last: Summary


def validation_path(load_id: str, table: str) -> str:
    return f"validations/{_segment(load_id)}/{_segment(table)}.html"


def load_path(load_id: str, kind: str) -> str:
    """A load and the rollups of its run bear one name, so the kind tells their pages apart."""
    return f"validations/{_segment(load_id)}/{_segment(kind)}.html"


def table_path(table: str) -> str:
    return f"tables/{_segment(table)}.html"


def _segment(name: str) -> str:
    return quote(name, safe="", errors="replace")


def summary_of(judged: Judged) -> Summary:
    marks: dict[str, bool | None] = {}
    for one in () if judged.validation is None else judged.validation.results:
        # a suite may ask the same of a column twice, with other limits: one line, as bad as the worse
        marks[one.name] = min(marks.get(one.name, True), one.success, key=_BADNESS.index)
    return Summary(judged.table, judged.load_id, judged.status, judged.at, marks)


# ---------------------------------------------------------------- what a page remembers


def with_summary(known: Iterable[Summary], new: Summary) -> tuple[Summary, ...]:
    """The newest first, each load once, none that is too old."""
    each = {one.load_id: one for one in (*known, new)}
    newest_first = sorted(each.values(), key=lambda one: (one.at, one.load_id), reverse=True)
    return tuple(_young(newest_first))[:KEPT_VALIDATIONS]


def with_entries(known: Iterable[IndexEntry], new: Iterable[IndexEntry]) -> tuple[IndexEntry, ...]:
    """A line a table, by name; an older validation does not take the place of a newer one."""
    lines: dict[str, IndexEntry] = {}
    for entry in (*known, *new):
        former = lines.get(entry.last.table)
        if former is None or former.last.at <= entry.last.at:
            lines[entry.last.table] = entry
    young = {one.table for one in _young([entry.last for entry in lines.values()])}
    return tuple(entry for table, entry in sorted(lines.items()) if table in young)


def read_summaries(page: str) -> tuple[Summary, ...]:
    """What a table's page remembers; nothing where it is no such page."""
    return tuple(Summary(**one) for one in read_data_block(page, _STATE) or ())


def read_entries(page: str) -> tuple[IndexEntry, ...]:
    """What the index remembers; nothing where it is no such page."""
    return tuple(IndexEntry(one["owner"], Summary(**one["last"])) for one in read_data_block(page, _STATE) or ())


def _young(summaries: Sequence[Summary]) -> list[Summary]:
    newest = max((datetime.fromisoformat(one.at) for one in summaries), default=None)
    if newest is None:
        return []
    return [one for one in summaries if newest - datetime.fromisoformat(one.at) <= timedelta(days=KEPT_DAYS)]


# ---------------------------------------------------------------- pages


def index_page(entries: Sequence[IndexEntry]) -> str:
    """All tables with their owner and their last verdict."""
    rows = [
        (
            _link(table_path(entry.last.table), entry.last.table),
            entry.owner,
            _verdict(entry.last, ""),
            _counted(entry.last),
            _time(entry.last.at),
        )
        for entry in entries
    ]
    body = (
        element("h1", "Data Docs"),
        element("p", "Each table with the last answer of its quality gate."),
        _table(("table", "owner", "last verdict", "expectations", "when (UTC)"), rows),
        _footer(),
        data_block(_STATE, [asdict(entry) for entry in entries]),
    )
    return document("Data Docs", _STYLE, *body)


def table_page(table: str, owner: str, summaries: Sequence[Summary]) -> str:
    """The last validations of a table, the newest first, and how each expectation fared in them."""
    rows = [(_time(one.at), _verdict(one, "../"), _counted(one), element("code", one.load_id)) for one in summaries]
    names = dict.fromkeys(name for one in summaries for name in one.marks)
    histories = [
        (element("code", name), element("span", *(_mark_of(one, name) for one in summaries), class_="history"))
        for name in names
    ]
    body = (
        element("p", _link("../index.html", "All tables")),
        element("h1", table),
        element("p", f"Owner: {owner}. The last {KEPT_VALIDATIONS} validations are here; control.validations has all."),
        element("h2", "Validations"),
        _table(("when (UTC)", "verdict", "expectations", "load"), rows),
        element("h2", "Expectations, the newest answer first"),
        _table(("expectation", "✓ passed, ✗ failed, ? no answer, · not asked"), histories),
        _footer(),
        data_block(_STATE, [asdict(one) for one in summaries]),
    )
    return document(f"{table} - Data Docs", _STYLE, *body)


def load_page(load_id: str, kind: str, run_url: str, judged: Sequence[Judged]) -> str:
    """The tables of one load, a rebuild or rollups."""
    rows = [
        (one.table, _verdict(summary, "../../"), _counted(summary))
        for one in sorted(judged, key=lambda one: one.table)
        for summary in [summary_of(one)]
    ]
    body = (
        element("p", _link("../../index.html", "All tables")),
        element("h1", f"{kind.capitalize()} {load_id}"),
        element("p", _run_link(run_url)),
        _table(("table", "verdict", "expectations"), rows),
        _footer(),
    )
    return document(f"{load_id} - Data Docs", _STYLE, *body)


def validation_page(judged: Judged, owner: str, run_url: str) -> str:
    """What the suite said of one table of one load, and what became of it."""
    style, word = _VERDICTS.get(judged.status, ("none", judged.status))
    body = (
        element(
            "p",
            _link("../../index.html", "All tables"),
            " / ",
            _link(f"../../{table_path(judged.table)}", judged.table),
            " / ",
            _link(f"{_segment(judged.kind)}.html", f"this {judged.kind}"),
        ),
        element("h1", f"{judged.table}: ", element("span", word, class_=style)),
        element("p", _MEANS.get(judged.status, "")),
        element("ul", *(element("li", _reason(reason)) for reason in judged.reasons)) if judged.reasons else "",
        element("p", f"Owner: {owner}. ", _run_link(run_url)),
        element("p", f"{judged.kind.capitalize()} ", element("code", judged.load_id), f", {_time(judged.at)} UTC"),
        element("h2", "Expectations"),
        _answers(judged.validation),
        _footer(),
    )
    return document(f"{judged.table} {word} - Data Docs", _STYLE, *body)


# ---------------------------------------------------------------- parts of pages


def _answers(validation: Validation | None) -> Markup:
    if validation is None:
        return element("p", "There is no answer: nothing was staged that a suite could look at, or the job failed.")
    if validation.success is None and not validation.results:
        why = f": {kind_of_exception(validation.note)}" if validation.note else ""
        return element("p", f"The suite gave no answer{why}.", class_="fail")
    if not validation.results:
        return element("p", "The suite has no expectations.")
    rows = [
        (
            _mark(one.success),
            element("code", one.expectation),
            one.column or "the table",
            one.severity,
            one.observed or "",
            _unexpected(one),
            _why(one),
        )
        for one in validation.results
    ]
    columns = ("answer", "expectation", "columns", "severity", "observed", "unexpected of rows", "why, and samples")
    return _table(columns, rows)


def _unexpected(result: ExpectationResult) -> str:
    if result.unexpected_count is None:
        return ""
    return f"{result.unexpected_count:,}" + ("" if result.rows is None else f" of {result.rows:,}")


def _why(result: ExpectationResult) -> Markup:
    if result.success is None:
        return joined("It could not be answered. What was thrown may hold values: control.validations has its words.")
    said = _said(result.detail)
    found = said.get("event_uuids")
    uuids = [uuid for uuid in (found if isinstance(found, list) else []) if _is_uuid(uuid)][:SHOWN_SAMPLES]
    samples = [part for uuid in uuids for part in (element("br"), element("code", uuid, class_="small"))]
    return joined(str(said.get("why") or ""), *samples)


def _said(detail: str | None) -> Mapping[str, Any]:
    try:
        said = json.loads(detail or "{}")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _is_uuid(text: Any) -> bool:
    try:
        return isinstance(text, str) and str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _reason(reason: str) -> str:
    begin = "error: "
    return f"{begin}{kind_of_exception(reason.removeprefix(begin))}" if reason.startswith(begin) else reason


def _verdict(summary: Summary, root: str) -> Markup:
    style, word = _VERDICTS.get(summary.status, ("none", summary.status))
    return element("a", word, href=f"{root}{validation_path(summary.load_id, summary.table)}", class_=style)


def _counted(summary: Summary) -> Markup:
    if not summary.marks:
        return element("span", "no answer", class_="none")
    failed = summary.failed
    told = f"{failed} of {len(summary.marks)} not passed" if failed else f"all {len(summary.marks)} passed"
    return element("span", told, class_="fail" if failed else "pass")


def _mark(success: bool | None) -> Markup:
    style, sign, word = _MARKS[success]
    return element("span", f"{sign} {word}", class_=style)


def _mark_of(summary: Summary, name: str) -> Markup:
    style, sign, word = _MARKS[summary.marks[name]] if name in summary.marks else _NOT_ASKED
    path = f"../{validation_path(summary.load_id, summary.table)}"
    return element("a", sign, href=path, class_=style, title=f"{word}, {_time(summary.at)}")


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    head = element("tr", *(element("th", column, scope="col") for column in columns))
    body = [Markup(f"\n{element('tr', *(element('td', cell) for cell in row))}") for row in rows]
    return element("div", element("table", element("thead", head), element("tbody", *body)), class_="wide")


def _run_link(run_url: str) -> Markup:
    # an Airflow that does not know its own address gives a path, which leads nowhere from here
    return _link(run_url, "The run in Airflow") if run_url.startswith(("http://", "https://")) else joined("")


def _link(path: str, text: str) -> Markup:
    return element("a", text, href=path)


def _time(at: str) -> str:
    return at[:19].replace("T", " ")


def _footer() -> Markup:
    return element("p", _PRIVACY, class_="small")

"""Data Docs: valid HTML out of whatever a receipt says, with verdicts, counts and uuids, and no value of a row."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlake import data_docs
from eventlake.data_docs import IndexEntry, Judged, Summary
from eventlake.markup import element
from eventlake.receipt import ExpectationResult, Validation
from eventlake.settings import Settings

TABLE, LOAD_ID = "events.payment_events", "load_events-0123456789-g1"
UUID = "11111111-2222-4333-8444-55555555555"
BEGIN = datetime(2026, 11, 21, 9, tzinfo=UTC)
RUN_URL = "http://127.0.0.1:8080/dags/load_events/runs/x"


class Page(HTMLParser):
    """Reads a page as a browser does, and refuses what a browser would have to repair."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert text.startswith("<!DOCTYPE html>\n") and self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert len({name for name, _ in attrs}) == len(attrs)
        self.links += [value for name, value in attrs if name == "href" and value]
        if tag not in ("meta", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self._open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def result(success: bool | None, detail: str | None = None, **changes: object) -> ExpectationResult:
    given = {
        "expectation": "expect_column_values_to_be_between",
        "column": "net",
        "severity": "critical",
        "success": success,
        "observed": None,
        "unexpected_count": None if success is None else 3,
        "detail": detail,
        "rows": 1200,
    }
    return ExpectationResult(**(given | changes))  # type: ignore[arg-type]  # tests change any field


def judged(*results: ExpectationResult, **changes: object) -> Judged:
    validation = Validation(all(one.success for one in results), results)
    given = {
        "table": TABLE,
        "load_id": LOAD_ID,
        "job_run_id": "jr_1",
        "kind": "load",
        "status": "held",
        "reasons": ("critical: expect_x(net), 3 unexpected",),
        "at": BEGIN.isoformat(),
        "validation": validation,
    }
    return Judged(**(given | changes))  # type: ignore[arg-type]  # tests change any field


def summary(number: int, mark: bool | None = True) -> Summary:
    at = (BEGIN + timedelta(hours=number)).isoformat()
    return Summary(TABLE, f"load_events-0123456789-g{number}", "published", at, {"expect_x": mark})


def test_a_validation_says_what_failed_of_how_many_rows_and_why() -> None:
    uuids = [f"{UUID}{number}" for number in range(7)]
    detail = json.dumps({"why": "Finance relies on it.", "event_uuids": uuids})
    page = Page(data_docs.validation_page(judged(result(False, detail)), "team-pay", RUN_URL))
    assert f"{TABLE}: held" in page.text
    assert "critical: expect_x(net), 3 unexpected" in page.text and "Owner: team-pay." in page.text
    assert "✗ failed expect_column_values_to_be_between net critical 3 of 1,200 Finance relies on it." in page.text
    assert [uuid in page.text for uuid in uuids] == [True] * 5 + [False] * 2
    assert page.links == ["../../index.html", f"../../tables/{TABLE}.html", "load.html", RUN_URL]
    assert "no value of any row" in page.text


@pytest.mark.parametrize(
    "of",
    [
        judged(result(None, "cannot cast 'ada@example.org' to bigint")),
        judged(result(False, json.dumps({"why": "x", "event_uuids": ["ada@example.org"]}))),
        judged(result(False, json.dumps({"why": "x", "value": "ada@example.org"}))),
        judged(result(False, '"ada@example.org"')),
        judged(status="failed", validation=None, reasons=("error: ValueError: invalid 'ada@example.org'",)),
        judged(validation=Validation(None, (), "AnalysisException: of 'ada@example.org'")),
    ],
)
def test_a_page_shows_no_value_and_no_words_of_an_exception(of: Judged) -> None:
    pages = (
        data_docs.validation_page(of, "team-pay", RUN_URL),
        data_docs.table_page(TABLE, "team-pay", [data_docs.summary_of(of)]),
        data_docs.load_page(LOAD_ID, "load", RUN_URL, [of]),
    )
    assert not any("ada@example.org" in page or "bigint" in page for page in pages)


def test_a_missing_answer_is_said_with_its_kind() -> None:
    page = data_docs.validation_page(judged(validation=Validation(None, (), "AnalysisException: x")), "o", RUN_URL)
    assert "The suite gave no answer: AnalysisException." in Page(page).text
    assert (
        "error: ValueError" in Page(data_docs.validation_page(judged(reasons=("error: ValueError: x",)), "o", "")).text
    )


def test_a_table_shows_each_expectations_answers_newest_first() -> None:
    known: tuple[Summary, ...] = ()
    for number, mark in ((3, None), (1, True), (2, False), (2, False)):
        known = data_docs.with_summary(known, summary(number, mark))
    page = Page(data_docs.table_page(TABLE, "team-pay", known))
    assert page.text.rpartition("not asked")[2].startswith(" expect_x ? ✗ ✓")
    assert [link for link in page.links if link.endswith(f"g3/{TABLE}.html")] == [
        f"../validations/load_events-0123456789-g3/{TABLE}.html"
    ] * 2


def test_a_table_remembers_so_many_validations_and_none_of_a_year_ago() -> None:
    known: tuple[Summary, ...] = ()
    for number in range(data_docs.KEPT_VALIDATIONS + 10):
        known = data_docs.with_summary(known, summary(number))
    assert len(known) == data_docs.KEPT_VALIDATIONS
    assert known[0] == summary(data_docs.KEPT_VALIDATIONS + 9)
    assert data_docs.with_summary(known, summary(24 * 400)) == (summary(24 * 400),)


def test_of_an_expectation_that_is_asked_twice_the_worse_answer_counts() -> None:
    assert set(data_docs.summary_of(judged(result(True), result(False), result(None))).marks.values()) == {False}
    assert set(data_docs.summary_of(judged(result(True), result(None))).marks.values()) == {None}


def test_the_index_has_a_line_a_table_and_keeps_the_newer_validation() -> None:
    other = Summary("events.lesson_events", "load_events-0123456789-g9", "held", BEGIN.isoformat(), {"expect_y": False})
    entries = data_docs.with_entries((), [IndexEntry("team-pay", summary(2)), IndexEntry("team-lessons", other)])
    entries = data_docs.with_entries(entries, [IndexEntry("team-pay", summary(1))])
    text = Page(data_docs.index_page(entries)).text
    assert "events.lesson_events team-lessons held 1 of 1 not passed 2026-11-21 09:00:00" in text
    assert "events.payment_events team-pay published all 1 passed 2026-11-21 11:00:00" in text
    assert text.index("lesson") < text.index("payment")


def test_a_load_lists_its_tables() -> None:
    page = Page(data_docs.load_page(LOAD_ID, "load", RUN_URL, [judged(result(False)), judged(table="events.a")]))
    assert page.links == [
        "../../index.html",
        RUN_URL,
        f"../../validations/{LOAD_ID}/events.a.html",
        f"../../validations/{LOAD_ID}/{TABLE}.html",
    ]


def test_an_address_that_is_none_is_no_link() -> None:
    for address in ("", "/dags/load_events", "javascript:alert(1)"):
        assert address not in Page(data_docs.validation_page(judged(), "o", address)).links


HOSTILE = st.one_of(
    st.sampled_from(
        ['</script><script>alert("x")</script>', "<!--", "]]>", "\"' onclick=x", "&lt;b&gt;", "\x00\ud800<"]
    ),
    st.text(st.characters(exclude_categories=()), max_size=12).map(lambda text: f"<b>{text}</b>"),
)
MARKS = st.sampled_from([True, False, None])


@settings(max_examples=25)
@given(HOSTILE, HOSTILE, HOSTILE, MARKS)
def test_nothing_of_an_input_becomes_markup(one: str, other: str, third: str, mark: bool | None) -> None:
    said = json.dumps({"why": third, "event_uuids": [one]})
    found = result(mark, said, expectation=one, column=other, severity=third, observed=one)
    of = judged(found, table=one, load_id=other, kind=third, status=one, reasons=(other, f"error: {third}"))
    shown = data_docs.summary_of(of)
    harmless = data_docs.summary_of(judged(result(mark), table="t", load_id="l", status="s"))
    pages = (
        (data_docs.table_page(one, third, [shown]), data_docs.table_page("t", "o", [harmless])),
        (data_docs.index_page([IndexEntry(other, shown)]), data_docs.index_page([IndexEntry("o", harmless)])),
    )
    for page, plain in pages:
        assert Page(page).tags == Page(plain).tags
        assert page.encode()
    assert data_docs.read_summaries(pages[0][0]) == (shown,)
    assert data_docs.read_entries(pages[1][0]) == (IndexEntry(other, shown),)
    whole = Page(data_docs.validation_page(of, other, f"http://{third}"))
    plain_page = data_docs.validation_page(
        judged(result(mark, json.dumps({"why": "w"})), reasons=("a", "b")), "o", RUN_URL
    )
    assert whole.tags == Page(plain_page).tags
    assert {"b", "script"}.isdisjoint(whole.tags)


def test_an_attribute_cannot_be_left_either() -> None:
    assert element("a", "x", href='"><b>', class_="") == '<a href="&quot;&gt;&lt;b&gt;">x</a>'


def test_links_begin_where_the_setting_says_and_otherwise_name_the_objects() -> None:
    assert Settings().data_docs_url == "s3://eventlake-local-lake-000000000000/data-docs/"
    given_one = Settings.from_env({"LAKE_DATA_DOCS_BASE_URL": "https://docs.example.com/lake"})
    assert given_one.data_docs_url == "https://docs.example.com/lake/"

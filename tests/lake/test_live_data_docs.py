"""Data Docs as a browser opens them: written when a load has ended, linked from its alert, changed where they must."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urljoin
from urllib.request import urlopen

import pytest
from lake_builders import NOW, Lake, Sent
from test_live_loads import TABLE, planned, published

from eventlake.load_alerts import ROLLUP
from eventlake.settings import DATA_DOCS_PREFIX
from eventlake_aws.alerts import open_incidents
from eventlake_aws.data_docs import document_outcome
from eventlake_aws.load_alerts import alert_on_outcome
from show_docs import told

UUIDS = [f"11111111-2222-4333-8444-55555555555{number}" for number in range(6)]
ROLLED_UP = "rollups.payment_totals_per_day"
RUN_URL = "http://127.0.0.1:8080/dags/load_events/runs/x"


@pytest.fixture
def site(lake: Lake, endpoint: str) -> Lake:
    """The lake, with links as the laptop makes them."""
    base = f"{endpoint}/{lake.settings.lake_bucket}/{DATA_DOCS_PREFIX}"
    return Lake(replace(lake.settings, data_docs_base_url=base), lake.clients)


def load(lake: Lake, run_id: str, number: int, *, is_good: bool) -> dict[str, Any]:
    """The outcome of a load of one payment, published or held."""
    row = Sent(UUIDS[number], 100 + number)
    lake.land([row], name=run_id)
    _, plan = planned(lake, run_id)
    answer = {
        "expectation": "expect_column_values_to_not_be_null",
        "column": "net",
        "severity": "critical",
        "success": is_good,
        "unexpected_count": 0 if is_good else 1,
        "rows": 1,
        "detail": None if is_good else {"why": "Finance relies on it.", "event_uuids": [row.event_uuid]},
    }
    validation = {"success": is_good, "results": [answer]}
    lake.write_receipt(plan, "jr_1", [lake.receipt_entry(plan, TABLE, "jr_1", [row], validation=validation)])
    return published(lake, plan)


def document(lake: Lake, outcome: dict[str, Any]) -> dict[str, Any]:
    return document_outcome(lake.clients, lake.settings, outcome=outcome, run_url=RUN_URL)


def opened(url: str) -> str:
    """As a browser gets it: nothing is signed."""
    with urlopen(url, timeout=10) as answer:
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        text: str = answer.read().decode()
    return text


def links_of(url: str) -> list[str]:
    found: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend(urljoin(url, value) for name, value in attrs if name == "href" and value)

    Links().feed(opened(url))
    return found


def objects(lake: Lake) -> dict[str, str]:
    """Path -> ETag of each page."""
    pages = lake.clients.s3.list_objects_v2(Bucket=lake.settings.lake_bucket, Prefix=DATA_DOCS_PREFIX)
    return {one["Key"].removeprefix(DATA_DOCS_PREFIX): one["ETag"] for one in pages.get("Contents", [])}


def test_the_link_of_an_alert_opens_what_the_gate_said_and_all_links_of_it_lead_somewhere(site: Lake) -> None:
    outcome = load(site, "run-1", 0, is_good=False)
    index = f"{site.settings.data_docs_url}index.html"
    assert told(index) == f"no load has been judged yet; after the first one: {index}"
    # when
    document(site, outcome)
    alert_on_outcome(site.clients, site.settings, outcome=outcome, run_url=RUN_URL, now=NOW)
    # then
    (incident,) = open_incidents(site.clients, site.settings)
    link = json.loads(incident.message)["data_docs"]
    page = opened(link)
    assert all(
        text in page for text in (': <span class="fail">held', "Finance relies on it.", UUIDS[0], "team-payments")
    )
    reached, left = set(), [link]
    while left:
        url = left.pop()
        reached.add(url)
        left += [one for one in links_of(url) if one not in reached and one not in left and one != RUN_URL]
    assert {url.removeprefix(site.settings.data_docs_url) for url in reached} == set(objects(site))
    assert told(index) == index


def test_a_second_load_adds_its_pages_and_changes_only_those_of_its_tables(site: Lake) -> None:
    first = load(site, "run-1", 0, is_good=False)
    assert document(site, first)["pages_written"] == 4
    before = objects(site)
    assert document(site, first)["pages_written"] == 0
    assert objects(site) == before
    # when
    second = load(site, "run-2", 1, is_good=True)
    answer = document(site, second)
    # then
    after = objects(site)
    kept = {path for path, etag in before.items() if after[path] == etag}
    assert set(before) - kept == {"index.html", f"tables/{TABLE}.html"}
    load_page = f"validations/{second['load_id']}/load.html"
    assert set(after) - set(before) == {load_page, f"validations/{second['load_id']}/{TABLE}.html"}
    assert answer == {"data_docs_url": f"{site.settings.data_docs_url}{load_page}", "pages_written": 4}
    page = opened(f"{site.settings.data_docs_url}tables/{TABLE}.html")
    assert all(f"<code>{outcome['load_id']}</code>" in page for outcome in (first, second))


def rolled_up(lake: Lake, run_id: str) -> dict[str, Any]:
    """The outcome of a run that published one rollup; nothing but its receipt is asked for."""
    answer = {
        "expectation": "expect_table_row_count_to_be_between",
        "column": None,
        "severity": "high",
        "success": True,
    }
    entry = {
        "name": "payment_totals_per_day",
        "table": ROLLED_UP,
        "base_snapshot_id": 1,
        "staged_snapshot_id": 2,
        "branch": "b",
        "added_records": 7,
        "days": {"2026-11-21": 7},
        "error": None,
        "validation": {"success": True, "results": [answer]},
    }
    receipt = {"rollup_run_id": run_id, "job_run_id": "jr_1", "rollups": [entry]}
    lake.put_lake(f"control/rollups/{run_id}/receipt-jr_1.json", json.dumps(receipt).encode())
    ended = {"published": {ROLLED_UP: 7}, "empty": [], "held": {}, "failed": {}, "stale": [], "warnings": {}}
    return ended | {"load_id": run_id, "job_run_id": "jr_1", "kind": ROLLUP, "ended_at": NOW.isoformat()}


def test_a_rollup_has_pages_as_a_table_has_beside_the_load_of_its_run(site: Lake) -> None:
    outcome = load(site, "run-1", 0, is_good=True)
    of_load = document(site, outcome)["data_docs_url"]
    # the run gives both the same name
    of_rollups = document(site, rolled_up(site, outcome["load_id"]))["data_docs_url"]
    assert (TABLE in opened(of_load), TABLE in opened(of_rollups)) == (True, False)
    assert ROLLED_UP in opened(of_rollups)
    page = opened(f"{site.settings.data_docs_url}validations/{outcome['load_id']}/{ROLLED_UP}.html")
    assert "published</span>" in page and "✓ passed" in page and "data-platform" in page


def test_runs_that_end_at_the_same_moment_are_all_shown(site: Lake) -> None:
    outcomes = [rolled_up(site, f"load_events-000000000{number}-g1") for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda outcome: document(site, outcome), outcomes))
    page = opened(f"{site.settings.data_docs_url}tables/{ROLLED_UP}.html")
    assert all(f"<code>{outcome['load_id']}</code>" in page for outcome in outcomes)


def test_a_run_that_brought_nothing_has_no_page(site: Lake) -> None:
    nothing = rolled_up(site, "load_events-0123456789-g1") | {"published": {}}
    index = f"{site.settings.data_docs_url}index.html"
    assert document(site, nothing) == {"data_docs_url": index, "pages_written": 0}
    with pytest.raises(HTTPError, match="404"):
        opened(index)

"""A whole day of live tables: counted once, compared with earlier weeks, told, and closed by a day that looks right."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

from lake_builders import NOW, Lake, Sent

from eventlake.day_checks import BROKEN_PRODUCER, FEWER, TWO_DAYS
from eventlake_aws.control_tables import DAY_CHECKS, DAY_PROFILES, DAY_REFERENCES, PRODUCER_RATES
from eventlake_aws.day_alerts import tell_findings
from eventlake_aws.day_profiles import check_day
from eventlake_aws.quarantine_rows import append_quarantine

TABLE = "events.payment_events"
DAY = date(2026, 11, 21)


def rows(lake: Lake, name: str) -> list[dict[str, Any]]:
    return lake.catalog.load_table(name).scan().to_arrow().to_pylist() if lake.catalog.table_exists(name) else []


def publish(lake: Lake, day: date, count: int) -> None:
    lake.publish_directly(
        TABLE, [Sent(f"{day}-{number}", 1_000 + number, day=day.isoformat()) for number in range(count)]
    )


def checked(lake: Lake, day: date) -> list[str]:
    findings = check_day(lake.clients, lake.settings, day=day, run_id=f"close-{day}", now=NOW)
    told = tell_findings(lake.clients, lake.settings, day=day, findings=findings, run_url="http://run", now=NOW)
    assert told["alerts"] == len(findings)
    return [finding.what for finding in findings]


def test_a_day_is_compared_with_its_earlier_weeks(lake: Lake) -> None:
    # given: four Saturdays with fifty payments each
    lake.define({})
    for week in (4, 3, 2, 1):
        day = DAY - timedelta(weeks=week)
        publish(lake, day, 50)
        assert checked(lake, day) == []
    # when: the fifth has two
    publish(lake, DAY, 2)
    assert checked(lake, DAY) == [FEWER]
    # then: counted and kept once a run, however often it is asked
    assert checked(lake, DAY) == [FEWER]
    profiles = rows(lake, DAY_PROFILES)
    assert sorted(row["rows"] for row in profiles) == [2, 50, 50, 50, 50]
    [kept] = rows(lake, DAY_CHECKS)
    assert (kept["day"], kept["table_name"], kept["rows"]) == ("2026-11-21", TABLE, 48)
    assert kept["expected"] == "about 50, as in these hours of 4 earlier weeks"


def test_a_day_that_has_changed_is_counted_again_by_the_same_run(lake: Lake) -> None:
    """A backfill clears the run that closed the day: what later weeks are compared with is the day as it is now."""
    lake.define({})

    def count(hours: int) -> list[int]:
        now = NOW + timedelta(hours=hours)
        check_day(lake.clients, lake.settings, day=DAY, run_id="close-1", now=now)
        return [row["rows"] for row in sorted(rows(lake, DAY_PROFILES), key=lambda row: row["written_at"])]

    publish(lake, DAY, 2)
    assert count(0) == [2]
    lake.publish_directly(TABLE, [Sent(f"more-{number}", number) for number in range(3)])
    assert count(1) == [2, 5]
    assert count(2) == [2, 5]


def test_a_uuid_on_two_days_is_told_and_a_day_that_looks_right_closes_it(lake: Lake) -> None:
    lake.define({})
    lake.publish_directly(TABLE, [Sent("same", 1, day="2026-11-20"), Sent("other", 2, day="2026-11-20")])
    lake.publish_directly(TABLE, [Sent("same", 3, day="2026-11-21")])
    findings = check_day(lake.clients, lake.settings, day=DAY, run_id="close-1", now=NOW)
    assert [(one.what, one.samples, one.severity) for one in findings] == [(TWO_DAYS, ("same",), "high")]
    told = tell_findings(lake.clients, lake.settings, day=DAY, findings=findings, run_url="http://run", now=NOW)
    assert (told["sent"], told["cleared"]) == (1, 0)
    told = tell_findings(lake.clients, lake.settings, day=DAY, findings=[], run_url="http://run", now=NOW)
    assert (told["sent"], told["cleared"]) == (0, 1)


def test_a_producer_whose_rows_are_mostly_bad_is_named(lake: Lake) -> None:
    # given: a hundred good rows of the web, and of the new app five good ones and thirty bad ones
    lake.define({})
    good = [Sent(f"web-{number}", number, producer="web") for number in range(100)]
    lake.publish_directly(TABLE, [*good, *(Sent(f"app-{number}", 200 + number, producer="app") for number in range(5))])
    bad = [
        {
            "event_type": "payment",
            "producer": "app",
            "reason": "wrong_type",
            "shard_id": "shardId-000000000000",
            "sequence_number": str(300 + number),
            "raw_object": "raw/x.gz",
            "line": number,
            "event_date": DAY.isoformat(),
        }
        for number in range(30)
    ]
    unnamed = bad[0] | {"event_type": "mystery", "sequence_number": "400"}
    append_quarantine(lake.catalog, lake.settings, [*bad, unnamed], "load-1", NOW)
    lake.publish_directly("events.uncontracted", [Sent("m", 401, "mystery", "thing", producer="app")])
    # then
    assert checked(lake, DAY) == [BROKEN_PRODUCER]
    [kept] = rows(lake, DAY_CHECKS)
    assert (kept["observed"], kept["rows"]) == ("app: 30 of 35 rows quarantined", 30)
    rates = {
        (row["table_name"], row["producer"]): (row["rows"], row["quarantined"]) for row in rows(lake, PRODUCER_RATES)
    }
    assert rates == {(TABLE, "app"): (5, 30), (TABLE, "web"): (100, 0), ("events.uncontracted", "app"): (1, 1)}


def test_values_without_a_counterpart_are_told_by_their_rows(lake: Lake) -> None:
    # given: each lesson bears the number of a payment; three weeks in which all do, most of them of the day before
    reference = {"column": "sequence_number", "to": "payment.sequence_number", "severity": "high", "why": "w"}
    suite = {"name": "lesson", "expectations": [], "meta": {"references": [reference]}}
    lake.define({}, suites={"lesson": suite})
    for week in (3, 2, 1, 0):
        day = DAY - timedelta(weeks=week)
        before = (day - timedelta(days=1)).isoformat()
        numbers = range(1_000 * (week + 1), 1_000 * (week + 1) + 30)
        lake.publish_directly(TABLE, [Sent(f"p-{number}", number, day=before) for number in numbers])
        shift = 0 if week else 25
        lessons = [Sent(f"l-{number}", number + shift, "lesson", "exercise", day=day.isoformat()) for number in numbers]
        lake.publish_directly("events.lesson_events", lessons)
        # then: only the last day tells, of what points beyond the payments there are
        assert checked(lake, day) == ([] if week else ["nothing behind sequence_number"])
    [kept] = rows(lake, DAY_CHECKS)
    assert (kept["rows"], kept["severity"], kept["table_name"]) == (25, "high", "events.lesson_events")
    assert kept["observed"] == "25 of 30 values of sequence_number are not in events.payment_events.sequence_number"
    assert json.loads(kept["samples"])[0] == "l-1005"
    followed = rows(lake, DAY_REFERENCES)
    assert sorted((row["distinct_values"], row["missing"]) for row in followed) == [(30, 0), (30, 0), (30, 0), (30, 25)]

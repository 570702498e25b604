"""What contracts protect reaches no table as it was sent, and what it gets instead is what the reference says."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, Observation, SparkSession

from disk_lake.lake import PROTECTION_KEY, DiskLake
from eventlake.contract import parse_contract
from eventlake.errors import TerminalError
from eventlake.protection import Protection, protected
from eventlake.rebuild_plan import LoadedLanding, plan_rebuild
from eventlake_spark.line_reading import read_lines
from eventlake_spark.protection_key import read_key
from eventlake_spark.table_lines import TableLines
from tests.builders import a_uuid
from tests.spark.event_lines import a_line

PERSONAL = {"type": "string", "x-pii": "personal"}
HASHED, MASKED = PERSONAL | {"x-protect": "hash"}, PERSONAL | {"x-protect": "mask"}
ACCOUNT = {
    "type": "object",
    "x-owner": "team-accounts",
    "x-retention-class": "account_lifetime",
    "x-event-names": ["account:created"],
    "required": ["email"],
    "properties": {
        "email": HASHED | {"format": "email"},
        "display_name": MASKED | {"maxLength": 10},
        "contact": {
            "type": "object",
            "properties": {
                "backup": MASKED | {"format": "email"},
                "phones": {"type": "array", "items": HASHED},
                "limit": {"type": "number", "x-decimal": [6, 2]},
            },
        },
        "devices": {
            "type": "array",
            "items": {"type": "object", "properties": {"token": HASHED, "model": {"type": "string"}}},
        },
        "plan": {"type": "string"},
    },
}


def an_account(number: int = 1, **fields: Any) -> bytes:
    return a_line(number, event_name="account:created", **{"email": "alice@example.com", **fields})


def hashed(value: str) -> str:
    return str(protected(value, Protection.HASHED, PROTECTION_KEY))


TEXTS = st.one_of(st.none(), st.text(max_size=20), st.sampled_from(["", "@", "a@b", "a@b@c.d", "'", '"', "\\'", "é😀"]))


def accounts(spark: SparkSession, key: bytes, *lines: bytes) -> DataFrame:
    table = TableLines("events.account_events", "account", (parse_contract("account/created", ACCOUNT),))
    given = [(line.decode(), "an/object", None) for line in lines]
    raw = spark.createDataFrame(given, "value string, path string, number int").coalesce(1)
    return read_lines(raw, "", table, "a-load", key, (), Observation())


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TEXTS, min_size=40, max_size=40))
@pytest.mark.parametrize("key", ["short", "k" * 64, "longer than a block of the hash, " * 3])
def test_what_a_table_gets_for_a_text_is_what_the_reference_says(
    spark: SparkSession, key: str, texts: list[str | None]
) -> None:
    lines = [an_account(1, display_name=text, contact={"backup": text, "phones": [text]}) for text in texts]
    rows = accounts(spark, key.encode(), *lines).selectExpr("row.display_name", "row.contact.*").collect()
    ways = (Protection.MASKED, Protection.MASKED_BUT_DOMAIN, Protection.HASHED)
    for text, row in zip(texts, rows, strict=True):
        assert [row.display_name, row.backup, row.phones[0]] == [protected(text, way, key) for way in ways]


def test_what_is_protected_at_any_depth_is_replaced_and_all_else_is_as_it_was_sent(lake: DiskLake) -> None:
    # given
    lake.define({"account/created": ACCOUNT})
    contact = {"backup": "bob@example.org", "phones": ["+49 1", None, "+49 2"], "limit": 12.5}
    devices = [{"token": "t-1", "model": "x"}, {"model": "y"}]
    full = an_account(1, display_name="Alice", contact=contact, devices=devices, plan="free")
    bare = an_account(2, display_name=None, contact=None)
    # when
    receipt = lake.load(lake.land([full, bare], "account", "created"))
    # then
    (entry,) = receipt["tables"]
    assert entry["error"] is None
    first, second = sorted(lake.staged_rows(entry), key=lambda row: row.event_uuid)
    assert first.email == second.email == hashed("alice@example.com")
    assert (first.display_name, second.display_name) == ("***", None)
    assert (first.plan, second.contact, second.devices) == ("free", None, None)
    assert first.contact.asDict() == {
        "backup": "***@example.org", "phones": [hashed("+49 1"), None, hashed("+49 2")], "limit": 12.5,
    }  # fmt: skip
    assert [each.asDict() for each in first.devices] == [
        {"token": hashed("t-1"), "model": "x"},
        {"token": None, "model": "y"},
    ]
    told = {row.col_name: row.comment for row in lake.rows("DESCRIBE TABLE events.account_events")}
    assert (told["email"], told["contact"]) == ("(hashed)", "(backup masked but for the domain, phones hashed)")


def test_the_catalog_says_of_a_column_what_its_contract_says_now(lake: DiskLake) -> None:
    def defined(**properties: Any) -> None:
        lake.define({"account/created": ACCOUNT | {"properties": properties}})

    def told() -> dict[str, str | None]:
        described = lake.rows("DESCRIBE TABLE events.account_events")
        return {row.col_name: row.comment for row in described if row.col_name in ("email", "plan", "note")}

    def commits_of_a_load(number: int) -> int:
        log = "SELECT * FROM events.account_events.metadata_log_entries"
        before = len(lake.rows(log)) if number > 1 else 0
        lake.load_and_publish(lake.land([an_account(number)], "account", "created"))
        return len(lake.rows(log)) - before

    # given
    email, plan = PERSONAL | {"description": "where we write to"}, {"type": "string", "description": "which"}
    defined(email=email, plan=plan)
    commits_of_a_load(1)
    assert told() == {"email": "where we write to", "plan": "which"}
    # when: a protection, a text that is gone, and a column beside them
    defined(email=email | {"x-protect": "hash"}, plan={"type": "string"}, note={"type": "string"})
    commits = commits_of_a_load(2)
    # then: one commit for all that, and none where nothing differs
    assert told() == {"email": "where we write to (hashed)", "plan": None, "note": None}
    assert commits_of_a_load(3) == commits - 1


def test_rules_judge_what_was_sent(lake: DiskLake) -> None:
    lake.define({"account/created": ACCOUNT})
    lines = [an_account(1, email="nobody"), an_account(2, display_name="a long name"), an_account(3)]
    receipt = lake.load(lake.land(lines, "account", "created"))
    assert receipt["tables"][0]["quarantined_by_reason"] == {"bad_format": 1, "out_of_range": 1}
    # what broke its contract is kept as it was sent, so that it can be mended
    assert {"alice@example.com", "nobody"} == {
        json.loads(row["original_text"])["email"] for row in lake.beside(receipt, "quarantine_uri")
    }


def test_what_is_loaded_or_rebuilt_again_is_known_and_only_another_key_makes_it_new(lake: DiskLake) -> None:
    # given
    lake.define({"account/created": ACCOUNT})
    landing = lake.land([an_account(1), an_account(2, display_name="Bob")], "account", "created")
    lake.load_and_publish(landing)
    # when
    other = an_account(3, event_uuid=a_uuid(1), email="other@example.com")
    again = lake.load(landing, lake.land([other], "account", "created"))
    # then
    counts = again["tables"][0]["counts"]
    assert (counts["loaded"], counts["duplicate"], again["tables"][0]["quarantined_by_reason"]) == (
        0, 2, {"uuid_conflict": 1},
    )  # fmt: skip
    bases = {table: lake.main_of(table) for table in lake.tables}
    known = [LoadedLanding(landing, "2026-11-21", "2026-11-21")]
    plan = plan_rebuild("replay_events-1", known, ["2026-11-21"], lake.pairs, bases, (), lake.definitions_key, "now")
    changed = [lake.run(plan, read_secret=lambda _, key=key: key)["tables"][0]["diff"]["changed"]
               for key in (PROTECTION_KEY, "another")]  # fmt: skip
    assert changed == [0, 2]


def test_a_table_without_protection_asks_for_no_key(lake: DiskLake) -> None:
    open_properties = {"email": PERSONAL, "plan": {"type": "string"}}
    lake.define({"account/created": ACCOUNT | {"properties": open_properties}})
    plan = lake.plan(lake.land([an_account()], "account", "created"), load_id="load_events-0123456789-g1")

    def no_secret(name: str) -> str:
        raise AssertionError(f"asked for {name}")

    receipt = lake.run(plan, read_secret=no_secret)
    assert [row.email for row in lake.staged_rows(receipt["tables"][0])] == ["alice@example.com"]


def test_no_plan_and_no_exception_shows_the_key(spark: SparkSession) -> None:
    key = "k" * 64
    rows = accounts(spark, key.encode(), an_account())
    rows.collect()
    with pytest.raises(Exception, match="nothing_so_called") as raised:
        rows.selectExpr("nothing_so_called")
    for shown in (rows._jdf.queryExecution().toString(), str(raised.value)):
        assert key not in shown
        assert key.encode().hex() not in shown.lower()
        assert base64.b64encode(key.encode()).decode() not in shown


@pytest.mark.parametrize(("name", "key"), [("", "k"), ("secret", "")])
def test_a_key_that_is_not_there_is_said_in_one_line(name: str, key: str) -> None:
    with pytest.raises(TerminalError, match=r"^reading the key of protected fields: received [^\n]*$"):
        read_key(name, lambda _: key)

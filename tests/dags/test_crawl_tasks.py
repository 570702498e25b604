"""What a crawl tells people: the alert's words and the run's note."""

from __future__ import annotations

from typing import Any

from eventlake_airflow.crawl_tasks import _in_words, _summary

LINE = {"event_type": "payment", "event_subtype": "order", "field": "lines[].net", "kind": "changed_type"}
FOLDER = "s3://lake/control/contract-patches/run-1/"


def test_an_alert_names_field_and_contract() -> None:
    assert _in_words(LINE | {"seen": "string", "expected": "number"}) == (
        "payment/order lines[].net is string, not number"
    )
    missing = LINE | {"kind": "missing_field", "seen": "no such field", "expected": "a required number"}
    assert _in_words(missing) == "payment/order lines[].net did not come, a required number"


def test_the_note_says_how_its_patches_are_put_in() -> None:
    report: dict[str, Any] = {"tables": 2, "lines": [LINE], "additive": 2, "breaking": 1, "patches": {}}
    assert _summary(report) == (
        "Crawled; 2 event types came in the last days. Drift against the contracts: 2 additive, 1 breaking."
    )
    patches = {name: f"{FOLDER}{name}.json" for name in ("payment/order", "shop/sale")}
    assert _summary(report | {"patches": patches}).endswith(f" Patches of 2 contracts: make contract PATCH={FOLDER}")
    assert _summary(report | {"lines": []}).endswith("contracts: none.")

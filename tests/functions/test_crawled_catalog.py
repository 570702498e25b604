"""A crawled table keeps each name once: Athena refuses a column that repeats a partition key."""

from __future__ import annotations

from typing import Any

from eventlake_aws.crawled_catalog import without_repeated_columns


def a_crawled_table(*columns: str) -> dict[str, Any]:
    return {
        "Name": "event_type_payment",
        "DatabaseName": "raw",
        "CreateTime": "as GetTable answers, not as UpdateTable takes",
        "PartitionKeys": [{"Name": "event_subtype", "Type": "string"}, {"Name": "day", "Type": "string"}],
        "StorageDescriptor": {
            "Location": "s3://a/raw/event_type=payment/",
            "Columns": [{"Name": name, "Type": "string"} for name in columns],
        },
        "Parameters": {"classification": "json"},
    }


def test_a_column_that_repeats_a_key_goes_and_all_else_stays() -> None:
    written = without_repeated_columns(a_crawled_table("event_uuid", "event_subtype", "amount"))
    assert written is not None
    assert [column["Name"] for column in written["StorageDescriptor"]["Columns"]] == ["event_uuid", "amount"]
    assert written["StorageDescriptor"]["Location"] == "s3://a/raw/event_type=payment/"
    assert set(written) == {"Name", "PartitionKeys", "StorageDescriptor", "Parameters"}


def test_a_table_without_repeats_is_left_alone() -> None:
    assert without_repeated_columns(a_crawled_table("event_uuid", "amount")) is None

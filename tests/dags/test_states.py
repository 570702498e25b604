"""Every state of every watched thing means something, and the tables know exactly the states that AWS has."""

from __future__ import annotations

import botocore.session
import pytest

from eventlake.errors import TerminalError
from eventlake_airflow.states import (
    ALL_TABLES,
    CRAWL,
    DELIVERY_STREAM,
    FUNCTION,
    JOB_RUN,
    STREAM,
    Outlook,
    StateTable,
)
from eventlake_airflow.watches import WATCH_KINDS


def aws_enum(service: str, shape: str) -> set[str]:
    loader = botocore.session.get_session().get_service_model(service)
    return set(loader.shape_for(shape).enum)


@pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: table.thing)
def test_an_unknown_state_raises_and_says_where_to_add_it(table: StateTable) -> None:
    with pytest.raises(TerminalError, match=r"received 'NEVER_HEARD_OF'.*states\.py"):
        table.outlook("NEVER_HEARD_OF")


@pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: table.thing)
def test_every_table_has_a_way_to_end_well(table: StateTable) -> None:
    assert Outlook.GOOD in table.outlooks.values()


@pytest.mark.parametrize(
    ("table", "service", "shape"),
    [
        (JOB_RUN, "glue", "JobRunState"),
        (STREAM, "kinesis", "StreamStatus"),
        (DELIVERY_STREAM, "firehose", "DeliveryStreamStatus"),
    ],
)
def test_a_table_holds_exactly_the_states_of_the_service(table: StateTable, service: str, shape: str) -> None:
    assert set(table.outlooks) == aws_enum(service, shape)


def test_a_crawl_is_in_a_state_of_its_crawler_or_of_its_last_crawl() -> None:
    assert set(CRAWL.outlooks) == aws_enum("glue", "CrawlerState") | aws_enum("glue", "LastCrawlStatus")


def test_an_active_function_is_as_good_as_its_last_update() -> None:
    plain = aws_enum("lambda", "State") - {"Active"}
    assert set(FUNCTION.outlooks) == plain | {f"Active/{status}" for status in aws_enum("lambda", "LastUpdateStatus")}


def test_the_state_that_the_providers_own_sensor_waits_on_for_ever_is_bad_here() -> None:
    assert JOB_RUN.outlook("ERROR") is Outlook.BAD


def test_every_kind_of_watch_judges_by_one_of_the_tables() -> None:
    assert {id(kind.table) for kind in WATCH_KINDS.values()} <= {id(table) for table in ALL_TABLES}

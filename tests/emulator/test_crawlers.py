"""Crawlers, the catalog's partitions and Athena over what a crawler wrote, as AWS documents them."""

from __future__ import annotations

import gzip
import io
import json
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.emulator.behaviours import promised
from tests.emulator.running import CHECKPOINTS, ROLE, Emulator, make_bucket, wait_for

SERVICE = "Glue crawlers and catalog"

GROUPED = {
    "Version": 1.0,
    "Grouping": {"TableGroupingPolicy": "CombineCompatibleSchemas", "TableLevelConfiguration": 3},
}


def put_lines(emulator: Emulator, bucket: str, folder: str, *rows: dict[str, Any], file: str = "a.gz") -> None:
    body = "".join(json.dumps(row) + "\n" for row in rows).encode()
    emulator.client("s3").put_object(Bucket=bucket, Key=f"{folder}/{file}", Body=gzip.compress(body))


def make_crawler(
    emulator: Emulator, name: str, exclusions: tuple[str, ...] = (), bucket: str = "", **options: Any
) -> None:
    glue = emulator.client("glue")
    glue.create_database(DatabaseInput={"Name": name})
    settings = {"Configuration": json.dumps(GROUPED), **options}
    glue.create_crawler(
        Name=name,
        Role=ROLE,
        DatabaseName=name,
        Targets={"S3Targets": [{"Path": f"s3://{bucket or name}/raw/", "Exclusions": list(exclusions)}]},
        **settings,
    )


def crawl(emulator: Emulator, name: str) -> dict[str, Any]:
    glue = emulator.client("glue")
    glue.start_crawler(Name=name)
    found: dict[str, Any] = wait_for(
        lambda: (one := glue.get_crawler(Name=name)["Crawler"])["State"] == "READY" and one, "the crawl's end"
    )
    return found


def tables(emulator: Emulator, name: str) -> dict[str, dict[str, Any]]:
    return {one["Name"]: one for one in emulator.client("glue").get_tables(DatabaseName=name)["TableList"]}


def columns(table: dict[str, Any]) -> dict[str, str]:
    return {one["Name"]: one["Type"] for one in table["StorageDescriptor"]["Columns"]}


def query(emulator: Emulator, name: str, sql: str) -> list[list[str | None]]:
    athena = emulator.client("athena")
    run = athena.start_query_execution(
        QueryString=sql,
        QueryExecutionContext={"Database": name},
        ResultConfiguration={"OutputLocation": f"s3://{name}/results/"},
    )["QueryExecutionId"]

    def status() -> Any:
        found = athena.get_query_execution(QueryExecutionId=run)["QueryExecution"]["Status"]
        return found["State"] in ("SUCCEEDED", "FAILED") and found

    ended = wait_for(status, "the query's end")
    assert ended["State"] == "SUCCEEDED", ended
    rows = athena.get_query_results(QueryExecutionId=run)["ResultSet"]["Rows"]
    return [[cell.get("VarCharValue") for cell in row["Data"]] for row in rows[1:]]


@promised("https://docs.aws.amazon.com/glue/latest/dg/crawler-table-level.html", closed_by="glue_crawler")
def test_a_table_for_each_folder_of_the_level_with_hive_partitions(emulator: Emulator, name: str) -> None:
    make_bucket(emulator, name)
    put_lines(emulator, name, "raw/event_type=payment/subtype=done/day=01", {"id": "a", "amount": 1})
    put_lines(emulator, name, "raw/event_type=payment/subtype=done/day=02", {"id": "b", "amount": 2.5, "new": True})
    put_lines(emulator, name, "raw/event_type=Sign-Up/subtype=web/day=01", {"id": "c", "Big": 2**40})
    make_crawler(emulator, name)
    crawler = crawl(emulator, name)
    assert crawler["LastCrawl"]["Status"] == "SUCCEEDED"
    found = tables(emulator, name)
    assert found.keys() == {"event_type_payment", "event_type_sign_up"}
    payment = found["event_type_payment"]
    assert columns(payment) == {"id": "string", "amount": "double", "new": "boolean"}
    assert columns(found["event_type_sign_up"]) == {"id": "string", "big": "bigint"}
    assert [key["Name"] for key in payment["PartitionKeys"]] == ["subtype", "day"]
    assert payment["StorageDescriptor"]["Location"] == f"s3://{name}/raw/event_type=payment/"
    serde = payment["StorageDescriptor"]["SerdeInfo"]["SerializationLibrary"]
    assert serde == "org.openx.data.jsonserde.JsonSerDe"
    assert payment["Parameters"].items() >= {
        "classification": "json", "compressionType": "gzip", "recordCount": "2", "objectCount": "2",
        "UPDATED_BY_CRAWLER": name, "typeOfData": "file",
    }.items()  # fmt: skip
    metrics = emulator.client("glue").get_crawler_metrics(CrawlerNameList=[name])["CrawlerMetricsList"][0]
    assert (metrics["TablesCreated"], metrics["TablesUpdated"]) == (2, 0)


@promised("https://docs.aws.amazon.com/glue/latest/dg/add-classifier.html", closed_by="glue_crawler")
def test_types_are_merged_as_the_classifier_merges_them(emulator: Emulator, name: str) -> None:
    make_bucket(emulator, name)
    put_lines(
        emulator, name, "raw/event_type=x/day=01",
        {"n": 1, "mixed": 1, "at": {"x": 1, "name": "a"}, "list": [1, 2], "none": None, "deep": [{"a": 1}]},
        {"n": 2**33, "mixed": "one", "at": {"x": 1.5, "more": False}, "list": [], "none": None, "deep": [{"b": "c"}]},
    )  # fmt: skip
    make_crawler(emulator, name)
    crawl(emulator, name)
    assert columns(tables(emulator, name)["event_type_x"]) == {
        "n": "bigint",
        "mixed": "string",
        "at": "struct<x:double,name:string,more:boolean>",
        "list": "array<int>",
        "none": "string",
        "deep": "array<struct<a:int,b:string>>",
    }


@promised(
    "https://docs.aws.amazon.com/glue/latest/dg/define-crawler-choose-data-sources.html",
    closed_by="glue_crawler",
)
def test_parquet_and_exclusions_and_prefix(emulator: Emulator, name: str) -> None:
    """Exclude patterns."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    written = io.BytesIO()
    parquet.write_table(pyarrow.table({"n": [1, 2], "at": [{"x": 1.5}, {"x": 2.5}], "s": ["a", "b"]}), written)
    make_bucket(emulator, name)
    emulator.client("s3").put_object(Bucket=name, Key="raw/numbers/part-0.parquet", Body=written.getvalue())
    for folder in ("left_out/deep", "a_too/x", "b_too/x"):
        put_lines(emulator, name, f"raw/{folder}", {"id": 1})
    put_lines(emulator, name, "raw/numbers", {"other": 1}, file="b.tmp")
    make_crawler(emulator, name, exclusions=("left_out/**", "{a,b}_too/**", "numbers/*.tmp"), TablePrefix="p_")
    crawl(emulator, name)
    found = tables(emulator, name)
    assert found.keys() == {"p_numbers"}
    assert columns(found["p_numbers"]) == {"n": "bigint", "at": "struct<x:double>", "s": "string"}
    assert found["p_numbers"]["Parameters"]["recordCount"] == "2"


@promised("https://docs.aws.amazon.com/glue/latest/dg/crawler-configuration.html", closed_by="glue_crawler")
def test_a_second_crawl_updates_the_table_and_adds_the_partition(emulator: Emulator, name: str) -> None:
    """UPDATE_IN_DATABASE."""
    make_bucket(emulator, name)
    put_lines(emulator, name, "raw/event_type=x/day=01", {"id": "a"})
    make_crawler(emulator, name)
    crawl(emulator, name)
    put_lines(emulator, name, "raw/event_type=x/day=02", {"id": "b", "price": 1.5})
    crawl(emulator, name)
    assert columns(tables(emulator, name)["event_type_x"]) == {"id": "string", "price": "double"}
    partitions = emulator.client("glue").get_partitions(DatabaseName=name, TableName="event_type_x")["Partitions"]
    assert sorted(one["Values"] for one in partitions) == [["01"], ["02"]]


@promised("https://docs.aws.amazon.com/glue/latest/dg/crawler-schema-changes-prevent.html", closed_by="glue_crawler")
def test_update_behavior_log_leaves_the_columns_alone(emulator: Emulator, name: str) -> None:
    make_bucket(emulator, name)
    put_lines(emulator, name, "raw/event_type=x/day=01", {"id": "a"})
    make_crawler(emulator, name, SchemaChangePolicy={"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"})
    crawl(emulator, name)
    put_lines(emulator, name, "raw/event_type=x/day=02", {"id": "b", "price": 1.5})
    crawl(emulator, name)
    assert columns(tables(emulator, name)["event_type_x"]) == {"id": "string"}


@promised(
    "https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-crawler-crawling.html#aws-glue-api-crawler-crawling-SchemaChangePolicy",
    closed_by="glue_crawler",
)
def test_what_is_gone_is_deleted_or_deprecated_or_left(emulator: Emulator, name: str) -> None:
    """DeleteBehavior."""
    make_bucket(emulator, name)
    put_lines(emulator, name, "raw/event_type=x/day=01", {"id": "a"})
    put_lines(emulator, name, "raw/event_type=x/day=02", {"id": "b"})
    put_lines(emulator, name, "raw/event_type=y/day=01", {"id": "c"})
    behaviors = ("DELETE_FROM_DATABASE", "DEPRECATE_IN_DATABASE", "LOG")
    for behavior in behaviors:
        policy = {"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": behavior}
        make_crawler(emulator, behavior.lower() + name, bucket=name, SchemaChangePolicy=policy)
        crawl(emulator, behavior.lower() + name)
        assert tables(emulator, behavior.lower() + name).keys() == {"event_type_x", "event_type_y"}
    for key in ("raw/event_type=x/day=02/a.gz", "raw/event_type=y/day=01/a.gz"):
        emulator.client("s3").delete_object(Bucket=name, Key=key)
    found = {}
    for behavior in behaviors:
        database = behavior.lower() + name
        crawl(emulator, database)
        there = tables(emulator, database)
        partitions = emulator.client("glue").get_partitions(DatabaseName=database, TableName="event_type_x")
        deprecated = [one for one, table in there.items() if "DEPRECATED_BY_CRAWLER" in table["Parameters"]]
        found[behavior] = (sorted(there), deprecated, len(partitions["Partitions"]))
    both = ["event_type_x", "event_type_y"]
    assert found == {
        "DELETE_FROM_DATABASE": (["event_type_x"], [], 1),
        "DEPRECATE_IN_DATABASE": (both, ["event_type_y"], 2),
        "LOG": (both, [], 2),
    }


@promised("https://docs.aws.amazon.com/glue/latest/dg/incremental-crawls.html", closed_by="glue_crawler")
def test_a_crawl_of_new_folders_only_adds_partitions_and_changes_no_table(emulator: Emulator, name: str) -> None:
    """CRAWL_NEW_FOLDERS_ONLY, which takes no other policy than LOG."""
    make_bucket(emulator, name)
    put_lines(emulator, name, "raw/event_type=x/day=01", {"id": "a"})
    recrawl = {"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"}
    make_crawler(
        emulator, name, RecrawlPolicy=recrawl, SchemaChangePolicy={"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}
    )
    glue = emulator.client("glue")
    with pytest.raises(ClientError, match="only LOG UpdateBehavior"):
        glue.update_crawler(Name=name, SchemaChangePolicy={"UpdateBehavior": "UPDATE_IN_DATABASE"})
    crawl(emulator, name)
    put_lines(emulator, name, "raw/event_type=x/day=01", {"id": "b", "in_an_old_folder": 1}, file="b.gz")
    put_lines(emulator, name, "raw/event_type=x/day=02", {"id": "c"})
    crawl(emulator, name)
    assert columns(tables(emulator, name)["event_type_x"]) == {"id": "string"}
    partitions = glue.get_partitions(DatabaseName=name, TableName="event_type_x")["Partitions"]
    assert sorted(one["Values"] for one in partitions) == [["01"], ["02"]]


@promised("https://docs.aws.amazon.com/athena/latest/ug/updates-and-partitions.html", closed_by="glue_crawler")
def test_a_partition_has_the_columns_of_its_own_folder(emulator: Emulator, name: str) -> None:
    make_bucket(emulator, name)
    put_lines(emulator, name, "raw/event_type=x/subtype=a", {"id": 1, "price": 1.5})
    put_lines(emulator, name, "raw/event_type=x/subtype=b", {"id": "b", "gift": True})
    make_crawler(emulator, name)
    crawl(emulator, name)
    assert columns(tables(emulator, name)["event_type_x"]) == {"id": "string", "price": "double", "gift": "boolean"}
    partitions = emulator.client("glue").get_partitions(DatabaseName=name, TableName="event_type_x")["Partitions"]
    assert {one["Values"][0]: columns(one) for one in partitions} == {
        "a": {"id": "int", "price": "double"},
        "b": {"id": "string", "gift": "boolean"},
    }


@promised("https://docs.aws.amazon.com/glue/latest/dg/crawler-schema-changes-prevent.html", closed_by="glue_crawler")
def test_new_columns_are_merged_in_and_partitions_inherit_the_table(emulator: Emulator, name: str) -> None:
    """MergeNewColumns, InheritFromTable."""
    output = {
        "Tables": {"AddOrUpdateBehavior": "MergeNewColumns"},
        "Partitions": {"AddOrUpdateBehavior": "InheritFromTable"},
    }
    make_bucket(emulator, name)
    put_lines(emulator, name, "raw/event_type=x/day=01", {"id": 1})
    make_crawler(emulator, name, Configuration=json.dumps({**GROUPED, "CrawlerOutput": output}))
    crawl(emulator, name)
    glue = emulator.client("glue")
    table = tables(emulator, name)["event_type_x"]
    table["StorageDescriptor"]["Columns"] = [{"Name": "id", "Type": "string"}]
    kept = {key: table[key] for key in ("Name", "StorageDescriptor", "PartitionKeys", "TableType", "Parameters")}
    glue.update_table(DatabaseName=name, TableInput=kept)
    put_lines(emulator, name, "raw/event_type=x/day=02", {"id": 2, "price": 1.5})
    crawl(emulator, name)
    wanted = {"id": "string", "price": "double"}
    assert columns(tables(emulator, name)["event_type_x"]) == wanted
    partitions = glue.get_partitions(DatabaseName=name, TableName="event_type_x")["Partitions"]
    assert [columns(one) for one in partitions] == [wanted, wanted]


@promised("https://docs.aws.amazon.com/glue/latest/webapi/API_StartCrawler.html", closed_by="glue_crawler")
def test_a_running_crawler_refuses_a_second_start_and_any_change(
    emulator: Emulator, name: str, crawls_hang: None
) -> None:
    """CrawlerRunningException, CrawlerNotRunningException."""
    make_bucket(emulator, name)
    put_lines(emulator, name, "raw/event_type=x/day=01", {"id": 1})
    make_crawler(emulator, name)
    glue = emulator.client("glue")
    glue.start_crawler(Name=name)
    for refused in (glue.start_crawler, glue.delete_crawler, glue.update_crawler):
        with pytest.raises(ClientError, match="CrawlerRunningException"):
            refused(Name=name)
    glue.stop_crawler(Name=name)
    crawler = wait_for(
        lambda: (one := glue.get_crawler(Name=name)["Crawler"])["State"] == "READY" and one, "the crawl's end"
    )
    assert crawler["LastCrawl"]["Status"] == "CANCELLED"
    with pytest.raises(ClientError, match="CrawlerNotRunningException"):
        glue.stop_crawler(Name=name)


@promised("https://docs.aws.amazon.com/glue/latest/webapi/API_LastCrawlInfo.html", closed_by="glue_crawler")
def test_a_missing_bucket_fails_the_crawl(emulator: Emulator, name: str) -> None:
    make_crawler(emulator, name)
    last = crawl(emulator, name)["LastCrawl"]
    assert last["Status"] == "FAILED"
    assert name in last["ErrorMessage"]


@promised("https://docs.aws.amazon.com/glue/latest/webapi/API_LastCrawlInfo.html", closed_by="glue_crawler")
def test_the_last_crawl_names_its_lines_in_the_log(emulator: Emulator, name: str) -> None:
    """LogGroup, LogStream, MessagePrefix."""
    make_bucket(emulator, name)
    put_lines(emulator, name, "raw/event_type=x/day=01", {"id": "a"})
    make_crawler(emulator, name)
    crawl(emulator, name)
    last = crawl(emulator, name)["LastCrawl"]
    events = emulator.client("logs").get_log_events(logGroupName=last["LogGroup"], logStreamName=last["LogStream"])
    lines = [event["message"] for event in events["events"]]
    assert any("Created table event_type_x" in line for line in lines)
    of_the_last = [line for line in lines if line.startswith(f"[{last['MessagePrefix']}] ")]
    assert 0 < len(of_the_last) < len(lines)


@promised("https://docs.aws.amazon.com/athena/latest/ug/openx-json-serde.html", closed_by="athena")
def test_athena_reads_a_crawled_table_in_the_types_of_the_catalog(emulator: Emulator, name: str) -> None:
    moment = "2026-11-21T08:00:00.500Z"
    make_bucket(emulator, name)
    put_lines(emulator, name, "raw/event_type=x/day=01", {"id": "007", "place": {"x": 1}}, {"id": "2", "n": 5})
    put_lines(emulator, name, "raw/event_type=x/day=02", {"id": "3", "n": 2**40, "moment": moment})
    make_crawler(emulator, name)
    crawl(emulator, name)
    sql = "SELECT id, n, place.x, moment, day FROM event_type_x WHERE day >= '01' ORDER BY day, id"
    assert query(emulator, name, sql) == [
        ["007", None, "1", None, "01"],
        ["2", "5", None, None, "01"],
        ["3", str(2**40), None, moment, "02"],
    ]


def make_partitioned_table(emulator: Emulator, name: str) -> None:
    """Six partitions, of the years 999, 2025 and 2026 and the days 01 and 02."""
    glue = emulator.client("glue")
    glue.create_database(DatabaseInput={"Name": name})
    keys = [{"Name": "year", "Type": "int"}, {"Name": "day", "Type": "string"}]
    glue.create_table(DatabaseName=name, TableInput={"Name": "t", "PartitionKeys": keys})
    wanted = [{"Values": [str(year), day]} for year in (999, 2025, 2026) for day in ("01", "02")]
    glue.batch_create_partition(DatabaseName=name, TableName="t", PartitionInputList=wanted)


@promised("https://docs.aws.amazon.com/glue/latest/webapi/API_GetPartitions.html", closed_by="glue_catalog")
def test_partitions_can_be_asked_for_by_expression(emulator: Emulator, name: str) -> None:
    make_partitioned_table(emulator, name)
    glue = emulator.client("glue")

    def chosen(expression: str) -> list[list[str]]:
        found = glue.get_partitions(DatabaseName=name, TableName="t", Expression=expression)["Partitions"]
        return [one["Values"] for one in found]

    assert chosen("year > 2000 AND day IN ('02')") == [["2025", "02"], ["2026", "02"]]
    assert chosen("(year = 999 OR year BETWEEN 2026 AND 2030) AND day LIKE '%1'") == [["999", "01"], ["2026", "01"]]
    with pytest.raises(ClientError, match="InvalidInputException"):
        chosen("no_such_key = 1")


@promised("https://docs.aws.amazon.com/glue/latest/webapi/API_GetPartitions.html", closed_by="glue_catalog")
def test_partitions_can_be_asked_for_by_page(emulator: Emulator, name: str) -> None:
    make_partitioned_table(emulator, name)
    glue = emulator.client("glue")
    first = glue.get_partitions(DatabaseName=name, TableName="t", MaxResults=4)
    rest = glue.get_partitions(DatabaseName=name, TableName="t", NextToken=first["NextToken"])
    assert (len(first["Partitions"]), len(rest["Partitions"]), "NextToken" in rest) == (4, 2, False)


@promised("https://docs.aws.amazon.com/glue/latest/webapi/API_UpdatePartition.html", closed_by="glue_catalog")
def test_a_partition_can_be_updated(emulator: Emulator, name: str) -> None:
    make_partitioned_table(emulator, name)
    glue = emulator.client("glue")
    changed = {"Values": ["2026", "02"], "Parameters": {"seen": "yes"}}
    place = {"DatabaseName": name, "TableName": "t"}
    glue.update_partition(**place, PartitionValueList=["2026", "02"], PartitionInput=changed)
    found = glue.get_partition(**place, PartitionValues=["2026", "02"])["Partition"]
    assert found["Parameters"] == {"seen": "yes"}
    with pytest.raises(ClientError, match="EntityNotFoundException"):
        glue.update_partition(**place, PartitionValueList=["2027", "01"], PartitionInput=changed)


@promised("https://docs.aws.amazon.com/glue/latest/webapi/API_BatchDeletePartition.html", closed_by="glue_catalog")
def test_partitions_can_be_deleted_together(emulator: Emulator, name: str) -> None:
    make_partitioned_table(emulator, name)
    glue = emulator.client("glue")
    gone = [{"Values": ["999", "01"]}, {"Values": ["999", "02"]}, {"Values": ["1", "1"]}]
    answer = glue.batch_delete_partition(DatabaseName=name, TableName="t", PartitionsToDelete=gone)
    assert [one["PartitionValues"] for one in answer["Errors"]] == [["1", "1"]]
    assert len(glue.get_partitions(DatabaseName=name, TableName="t")["Partitions"]) == 4


@promised("https://docs.aws.amazon.com/glue/latest/webapi/API_CreateTable.html")
def test_a_table_is_created_once(emulator: Emulator, name: str) -> None:
    """AlreadyExistsException, EntityNotFoundException."""
    glue = emulator.client("glue")
    glue.create_database(DatabaseInput={"Name": name})
    with pytest.raises(ClientError, match="EntityNotFoundException"):
        glue.get_table(DatabaseName=name, Name="t")
    glue.create_table(DatabaseName=name, TableInput={"Name": "t"})
    with pytest.raises(ClientError, match="AlreadyExistsException"):
        glue.create_table(DatabaseName=name, TableInput={"Name": "t"})
    with pytest.raises(ClientError, match="AlreadyExistsException"):
        glue.create_database(DatabaseInput={"Name": name})


@promised("https://docs.aws.amazon.com/glue/latest/webapi/API_UpdateTable.html")
def test_of_sixteen_writers_of_one_version_one_wins(emulator: Emulator, name: str) -> None:
    """ConcurrentModificationException."""
    glue = emulator.client("glue")
    glue.create_database(DatabaseInput={"Name": name})
    glue.create_table(DatabaseName=name, TableInput={"Name": "t"})
    for _ in range(5):
        version = glue.get_table(DatabaseName=name, Name="t")["Table"]["VersionId"]

        def update(writer: int, version: str = version) -> bool:
            changed = {"Name": "t", "Parameters": {"writer": str(writer)}}
            try:
                glue.update_table(DatabaseName=name, TableInput=changed, VersionId=version)
            except ClientError as refused:
                assert refused.response["Error"]["Code"] == "ConcurrentModificationException"
                return False
            return True

        with ThreadPoolExecutor(16) as pool:
            assert sum(pool.map(update, range(16))) == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_a_crawl_that_was_cut_has_failed_and_can_be_started_again(
    another_emulator: Callable[..., Emulator], name: str, how: int
) -> None:
    """A crawler that stayed RUNNING for ever could never crawl again; one that looked done would be taken for it."""
    emulator = another_emulator(**CHECKPOINTS)
    make_bucket(emulator, name)
    put_lines(emulator, name, "raw/event_type=x/day=01", {"id": 1})
    make_crawler(emulator, name)
    assert crawl(emulator, name)["LastCrawl"]["Status"] == "SUCCEEDED"
    emulator.fault(crawl_hangs=1)
    emulator.client("glue").start_crawler(Name=name)
    emulator.wait_for_checkpoint()
    assert emulator.client("glue").get_crawler(Name=name)["Crawler"]["State"] == "RUNNING"
    emulator.stop(how)
    emulator.fault()
    emulator.start()
    [metrics] = emulator.client("glue").get_crawler_metrics(CrawlerNameList=[name])["CrawlerMetricsList"]
    assert metrics["LastRuntimeSeconds"] > 0, "the run before is remembered"
    cut = emulator.client("glue").get_crawler(Name=name)["Crawler"]
    assert (cut["State"], cut["LastCrawl"]["Status"]) == ("READY", "FAILED")
    assert "stopped or was killed" in cut["LastCrawl"]["ErrorMessage"]
    assert crawl(emulator, name)["LastCrawl"]["Status"] == "SUCCEEDED"

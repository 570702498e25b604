"""Each kind of watch asks its service the right question and finds the state in the answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from eventlake.errors import TerminalError
from eventlake_airflow.watches import WATCH_KINDS, Watched, job_run, lease, parse_watched


class FakeClient:
    """Answers each call with what the test says, and remembers what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, call: str) -> Any:
        async def answer(**arguments: Any) -> Any:
            self.asked.append((call, arguments))
            return self.answers[call]

        return answer


def ask(kind: str, name: str, **answers: Any) -> tuple[str, list[tuple[str, dict[str, Any]]]]:
    client = FakeClient(**answers)
    return asyncio.run(WATCH_KINDS[kind].ask(client, name)), client.asked


def test_a_job_run_is_asked_for_by_job_and_run() -> None:
    watched = job_run("lake/with-slash", "jr_1")
    state, asked = ask("job_run", watched.name, get_job_run={"JobRun": {"JobRunState": "RUNNING"}})
    assert (state, asked) == ("RUNNING", [("get_job_run", {"JobName": "lake/with-slash", "RunId": "jr_1"})])


@pytest.mark.parametrize(
    ("crawler", "state"),
    [
        ({"State": "RUNNING", "LastCrawl": {"Status": "SUCCEEDED"}}, "RUNNING"),
        ({"State": "STOPPING"}, "STOPPING"),
        ({"State": "READY"}, "READY"),
        ({"State": "READY", "LastCrawl": {"Status": "FAILED"}}, "FAILED"),
    ],
)
def test_a_crawl_is_its_crawler_while_it_runs_and_its_last_crawl_afterwards(crawler: Any, state: str) -> None:
    assert ask("crawl", "lake-raw", get_crawler={"Crawler": crawler})[0] == state


@pytest.mark.parametrize(
    ("states", "state"),
    [([], "missing"), (["Enabled"], "Enabled"), (["Enabled", "Disabled"], "Disabled"), (["Creating"], "Creating")],
)
def test_a_function_is_fed_only_when_all_of_its_mappings_are_enabled(states: list[str], state: str) -> None:
    mappings = [{"State": one} for one in states]
    answer = ask("event_source_mapping", "f", list_event_source_mappings={"EventSourceMappings": mappings})[0]
    assert answer == state


@pytest.mark.parametrize(
    ("configuration", "state"),
    [
        ({"State": "Active", "LastUpdateStatus": "Failed"}, "Active/Failed"),
        ({"State": "Active", "LastUpdateStatus": "Successful"}, "Active/Successful"),
        ({"State": "Pending"}, "Pending"),
    ],
)
def test_a_function_whose_update_failed_is_not_simply_active(configuration: Any, state: str) -> None:
    assert ask("function", "f", get_function_configuration=configuration)[0] == state


@pytest.mark.parametrize(
    ("kind", "visible", "in_flight", "state"),
    [
        ("landings_queue", "0", "0", "drained"),
        ("landings_queue", "0", "1", "draining"),
        ("dead_letter_queue", "0", "0", "empty"),
        ("dead_letter_queue", "2", "0", "holding"),
    ],
)
def test_a_queue_counts_messages_that_somebody_holds_too(kind: str, visible: str, in_flight: str, state: str) -> None:
    attributes = {"ApproximateNumberOfMessages": visible, "ApproximateNumberOfMessagesNotVisible": in_flight}
    answers = {"get_queue_url": {"QueueUrl": "u"}, "get_queue_attributes": {"Attributes": attributes}}
    assert ask(kind, "q", **answers)[0] == state


def test_a_stream_and_a_delivery_stream_tell_their_status() -> None:
    stream = {"StreamDescriptionSummary": {"StreamStatus": "UPDATING"}}
    delivery = {"DeliveryStreamDescription": {"DeliveryStreamStatus": "ACTIVE"}}
    assert ask("stream", "s", describe_stream_summary=stream)[0] == "UPDATING"
    assert ask("delivery_stream", "d", describe_delivery_stream=delivery)[0] == "ACTIVE"


def test_a_watched_thing_survives_being_written_down() -> None:
    for kind in WATCH_KINDS:
        watched = Watched(kind, "name:with:colons")
        assert parse_watched(str(watched)) == watched


def test_a_kind_that_there_is_not_is_refused() -> None:
    with pytest.raises(TerminalError, match="the kind 'moon'"):
        parse_watched("moon:full")


def test_a_lease_is_free_when_there_is_none_or_its_time_is_over() -> None:
    def item(expires_at: int) -> dict[str, Any]:
        return {"Item": {"lease_name": {"S": "type#payment"}, "expires_at": {"N": str(expires_at)}}}

    watched = lease("lake-leases", "type#payment")
    state, asked = ask("lease", watched.name, get_item=item(4_102_444_800))
    assert (state, asked[0][1]["TableName"], asked[0][1]["Key"]) == (
        "taken",
        "lake-leases",
        {"lease_name": {"S": "type#payment"}},
    )
    assert [ask("lease", watched.name, get_item=one)[0] for one in ({}, item(1))] == ["free", "free"]

"""Starting and adopting runs of Glue, and failing in the service's own words."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from botocore.exceptions import ClientError

from eventlake.errors import TerminalError, TransientError
from eventlake_airflow.operators import Crawl, StageJob
from eventlake_airflow.states import CRAWL, JOB_RUN, Outlook

PLAN = {
    "plan_uri": "s3://lake/control/plan.json",
    "load_id": "load_events-0123456789-g1",
    "receipt_prefix": "s3://lake/control/loads/x/",
}
ARGUMENTS = {"--plan_uri": PLAN["plan_uri"], "--load_id": PLAN["load_id"], "--raw_bucket": "raw"}


class FakeGlue:
    """The few calls of Glue that the operators make."""

    def __init__(self, runs: list[dict[str, Any]] | None = None, refuse: str | None = None) -> None:
        self.runs = runs or []
        self.refuse = refuse
        self.started: list[dict[str, Any]] = []
        self.crawler: dict[str, Any] = {}

    def get_job_runs(self, JobName: str, MaxResults: int) -> Any:  # noqa: N803 (as boto3 spells it)
        return {"JobRuns": self.runs}

    def get_job_run(self, JobName: str, RunId: str) -> Any:  # noqa: N803 (as boto3 spells it)
        return {"JobRun": next(run for run in self.runs if run["Id"] == RunId)}

    def start_job_run(self, **arguments: Any) -> Any:
        self._answer("StartJobRun")
        self.started.append(arguments)
        return {"JobRunId": "jr_new"}

    def start_crawler(self, **arguments: Any) -> None:
        self._answer("StartCrawler")
        self.started.append(arguments)

    def get_crawler(self, **arguments: Any) -> Any:
        return {"Crawler": self.crawler}

    def _answer(self, operation: str) -> None:
        if self.refuse:
            raise ClientError({"Error": {"Code": self.refuse, "Message": "no"}}, operation)


class FakeS3:
    """Holds the receipts of some runs."""

    def __init__(self, *receipts_of: str) -> None:
        self.keys = {f"control/loads/x/receipt-{run_id}.json" for run_id in receipts_of}

    def head_object(self, Bucket: str, Key: str) -> None:  # noqa: N803 (as boto3 spells it)
        if (Bucket, Key) not in {("lake", key) for key in self.keys}:
            raise ClientError({"ResponseMetadata": {"HTTPStatusCode": 404}}, "HeadObject")


def stage(monkeypatch: pytest.MonkeyPatch, glue: FakeGlue, s3: FakeS3 | None = None) -> StageJob:
    monkeypatch.setattr(StageJob, "glue_client", lambda self: glue)
    monkeypatch.setattr(StageJob, "s3_client", lambda self: s3 or FakeS3())
    return StageJob(
        task_id="stage_load",
        job_name="lake-load_events",
        plan=PLAN,
        plan_arguments=("load_id", "plan_uri"),
        arguments={"--raw_bucket": "raw"},
        delay_seconds=2,
        patience_seconds=60,
    )


def run_of(run_id: str, state: str, arguments: dict[str, str] | None = None) -> dict[str, Any]:
    return {"Id": run_id, "JobRunState": state, "Arguments": ARGUMENTS if arguments is None else arguments}


def deferral_of(operator: Any) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as deferral:
        operator.execute({})
    return deferral.value


def test_a_first_try_starts_a_run_with_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    glue = FakeGlue(
        runs=[run_of("jr_other", "RUNNING", {"--plan_uri": "s3://lake/another.json"}), run_of("jr_bare", "RUNNING", {})]
    )
    deferral = deferral_of(stage(monkeypatch, glue))
    assert glue.started == [{"JobName": "lake-load_events", "Arguments": ARGUMENTS}]
    assert deferral.kwargs == {"job_run_id": "jr_new"}
    assert deferral.trigger.watched == ["job_run:lake-load_events/jr_new"]


@pytest.mark.parametrize("state", [state for state, outlook in JOB_RUN.outlooks.items() if outlook is Outlook.WAIT])
def test_a_retry_adopts_the_run_that_still_goes_on(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    glue = FakeGlue(runs=[run_of("jr_failed", "FAILED"), run_of("jr_old", state)])
    deferral = deferral_of(stage(monkeypatch, glue))
    assert glue.started == []
    assert deferral.kwargs == {"job_run_id": "jr_old"}


def test_a_run_that_came_to_its_receipt_is_not_paid_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    glue = FakeGlue(runs=[run_of("jr_old", "SUCCEEDED")])
    assert stage(monkeypatch, glue, FakeS3("jr_old")).execute({}) == {"job_run_id": "jr_old"}
    assert glue.started == []


@pytest.mark.parametrize("state", [state for state, outlook in JOB_RUN.outlooks.items() if outlook is not Outlook.WAIT])
def test_a_run_that_ended_without_a_receipt_is_never_adopted(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    glue = FakeGlue(runs=[run_of("jr_old", state)])
    deferral_of(stage(monkeypatch, glue))
    assert len(glue.started) == 1


@pytest.mark.parametrize(("state", "outlook"), JOB_RUN.outlooks.items())
def test_a_job_comes_back_with_its_run_or_with_its_own_error(
    monkeypatch: pytest.MonkeyPatch, state: str, outlook: Outlook
) -> None:
    glue = FakeGlue(runs=[run_of("jr_1", state) | {"ErrorMessage": "OutOfMemoryError: heap"}])
    operator = stage(monkeypatch, glue, FakeS3("jr_1"))
    event = {"states": {"job_run:lake-load_events/jr_1": state}}
    if outlook is Outlook.GOOD:
        assert operator.execute_complete({}, event, job_run_id="jr_1") == {"job_run_id": "jr_1"}
        return
    words = "still" if outlook is Outlook.WAIT else "OutOfMemoryError: heap"
    with pytest.raises(TransientError, match=rf"jr_1 .*{words}"):
        operator.execute_complete({}, event, job_run_id="jr_1")


def test_a_success_without_a_receipt_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = stage(monkeypatch, FakeGlue(runs=[run_of("jr_1", "SUCCEEDED")]))
    event = {"states": {"job_run:lake-load_events/jr_1": "SUCCEEDED"}}
    with pytest.raises(TransientError, match="SUCCEEDED but left no receipt"):
        operator.execute_complete({}, event, job_run_id="jr_1")


def test_the_event_of_another_run_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = stage(monkeypatch, FakeGlue())
    event = {"states": {"job_run:lake-load_events/jr_2": "SUCCEEDED"}}
    with pytest.raises(TerminalError, match="resuming from a deferral"):
        operator.execute_complete({}, event, job_run_id="jr_1")


def test_a_full_job_is_tried_again_and_a_missing_one_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TransientError, match="concurrent runs"):
        stage(monkeypatch, FakeGlue(refuse="ConcurrentRunsExceededException")).execute({})
    with pytest.raises(ClientError, match="EntityNotFoundException"):
        stage(monkeypatch, FakeGlue(refuse="EntityNotFoundException")).execute({})


def crawl(monkeypatch: pytest.MonkeyPatch, glue: FakeGlue) -> Crawl:
    monkeypatch.setattr(Crawl, "glue_client", lambda self: glue)
    return Crawl(task_id="crawl", crawler_name="lake-raw", delay_seconds=2, patience_seconds=60)


@pytest.mark.parametrize("refuse", [None, "CrawlerRunningException"])
def test_a_crawl_is_started_or_adopted(monkeypatch: pytest.MonkeyPatch, refuse: str | None) -> None:
    glue = FakeGlue(refuse=refuse)
    assert deferral_of(crawl(monkeypatch, glue)).trigger.watched == ["crawl:lake-raw"]
    assert len(glue.started) == (0 if refuse else 1)


def test_a_crawler_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClientError):
        crawl(monkeypatch, FakeGlue(refuse="EntityNotFoundException")).execute({})


@pytest.mark.parametrize(("state", "outlook"), CRAWL.outlooks.items())
def test_a_crawl_ends_as_its_table_says(monkeypatch: pytest.MonkeyPatch, state: str, outlook: Outlook) -> None:
    glue = FakeGlue()
    glue.crawler = {"LastCrawl": {"ErrorMessage": "Insufficient Lake Formation permission"}}
    operator, event = crawl(monkeypatch, glue), {"states": {"crawl:lake-raw": state}}
    if outlook is Outlook.GOOD:
        assert operator.execute_complete({}, event) == "lake-raw"
        return
    error = TransientError if outlook is Outlook.WAIT else TerminalError
    with pytest.raises(error, match=f"{state}.*Insufficient"):
        operator.execute_complete({}, event)

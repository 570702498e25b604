"""Operators of the lake: start something on Glue, or adopt what an earlier try started, and wait without a worker.

What belongs in here: starting, adopting, waiting, and failing with the service's own words. What does not: what a job
is given (plans come from eventlake_aws), and whether its result counts (its receipt says that, not its state).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Any, NoReturn

from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
from airflow.sdk import BaseOperator, Context
from botocore.exceptions import ClientError

from eventlake.errors import TerminalError, TransientError
from eventlake_airflow.schedules import SCHEDULES, SETTINGS
from eventlake_airflow.states import CRAWL, JOB_RUN, Outlook
from eventlake_airflow.triggers import StatesTrigger
from eventlake_airflow.waiting import AWS_CONNECTION, Patience, read_states
from eventlake_airflow.watches import Watched, job_run, lease

# Glue answers newest first; a run that is still active lies within the newest few
NEWEST_RUNS = 50
# Glue's own timeout of the jobs is two hours
JOB_PATIENCE = timedelta(hours=2, minutes=10)
# the writers before may each take as long as a job may
LEASE_PATIENCE = timedelta(hours=4)


class _WaitForGlue(BaseOperator):
    """What the operators here share: the client, and how they defer."""

    def __init__(
        self,
        *,
        delay_seconds: float = SCHEDULES.waiter_delay_seconds,
        patience_seconds: float = JOB_PATIENCE.total_seconds(),
        aws_conn_id: str | None = AWS_CONNECTION,
        **kwargs: Any,
    ) -> None:
        patience = Patience(delay_seconds, patience_seconds)
        kwargs.setdefault("execution_timeout", patience.deadline)
        super().__init__(**kwargs)
        self.patience = patience
        self.aws_conn_id = aws_conn_id

    def glue_client(self) -> Any:
        return AwsGenericHook(aws_conn_id=self.aws_conn_id, client_type="glue").conn

    def wait_for(self, thing: Watched, resume_with: Mapping[str, Any]) -> NoReturn:
        """Defer until `thing` is decided; `execute_complete` gets `resume_with` and the trigger's event."""
        self.defer(
            trigger=StatesTrigger(
                watched=[str(thing)],
                delay_seconds=self.patience.delay_seconds,
                attempts=self.patience.attempts,
                aws_conn_id=self.aws_conn_id,
            ),
            method_name="execute_complete",
            kwargs=dict(resume_with),
            timeout=self.patience.deadline,
        )


class StageJob(_WaitForGlue):
    """Run a Glue job for one plan, and give its run id to the task that reads the receipt.

    A retry adopts the run that an earlier try started for the same plan, going on or done, so that two runs never stage
    the same plan side by side and none is paid for twice. Runs are known by `--plan_uri` among their arguments.

    :param plan: what the planning task answered: `plan_uri`, `receipt_prefix` and more (an XComArg)
    :param plan_arguments: which of the plan's values the job takes as arguments
    :param arguments: further arguments of the job
    """

    template_fields: Sequence[str] = ("plan", "arguments")

    def __init__(
        self,
        *,
        job_name: str,
        plan: Any,
        plan_arguments: Sequence[str] = ("plan_uri", "receipt_prefix"),
        arguments: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job_name = job_name
        self.plan = plan
        self.plan_arguments = tuple(plan_arguments)
        self.arguments = dict(arguments or {})

    def s3_client(self) -> Any:
        return AwsGenericHook(aws_conn_id=self.aws_conn_id, client_type="s3").conn

    def execute(self, context: Context) -> dict[str, str]:
        script_args = {f"--{name}": str(self.plan[name]) for name in self.plan_arguments} | self.arguments
        glue = self.glue_client()
        run = find_run(glue, self.job_name, self.plan["plan_uri"])
        if run is not None and JOB_RUN.outlook(run["JobRunState"]) is Outlook.GOOD and self.has_receipt(run["Id"]):
            self.log.info("Adopted %s of %s, which an earlier try brought to its receipt", run["Id"], self.job_name)
            return {"job_run_id": run["Id"]}
        if run is not None and JOB_RUN.outlook(run["JobRunState"]) is Outlook.WAIT:
            job_run_id = str(run["Id"])
            self.log.info("Adopted %s of %s, which an earlier try started", job_run_id, self.job_name)
        else:
            job_run_id = start_run(glue, self.job_name, script_args)
            self.log.info("Started %s of %s with %s", job_run_id, self.job_name, script_args)
        return self.wait_for(job_run(self.job_name, job_run_id), {"job_run_id": job_run_id})

    def execute_complete(
        self, context: Context, event: dict[str, Any] | None = None, job_run_id: str = ""
    ) -> dict[str, str]:
        thing = job_run(self.job_name, job_run_id)
        state = read_states(event, [thing])[thing]
        outlook = JOB_RUN.outlook(state)
        if outlook is Outlook.GOOD and self.has_receipt(job_run_id):
            return {"job_run_id": job_run_id}
        if outlook is Outlook.WAIT:
            raise TransientError(
                f"waiting for job {self.job_name}: run {job_run_id} is still {state} after "
                f"{self.patience.seconds:.0f} s; valid is SUCCEEDED; the retry goes on waiting for the same run"
            )
        # transient, because a new run may do what this one could not; retries are few, and the last one is red
        reason = self.glue_client().get_job_run(JobName=self.job_name, RunId=job_run_id)["JobRun"].get("ErrorMessage")
        what = f"ended {state}" if outlook is Outlook.BAD else f"ended {state} but left no receipt"
        raise TransientError(
            f"running job {self.job_name}: run {job_run_id} {what}: {reason or 'Glue gives no reason'}; "
            "valid is SUCCEEDED with a receipt; nothing was published; read the job's log under /aws-glue/jobs/error"
        )

    def has_receipt(self, job_run_id: str) -> bool:
        """Whether the run wrote its last act. A job's state alone is never trusted."""
        bucket, _, prefix = self.plan["receipt_prefix"].removeprefix("s3://").partition("/")
        try:
            self.s3_client().head_object(Bucket=bucket, Key=f"{prefix}receipt-{job_run_id}.json")
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.NOT_FOUND:
                return False
            raise
        return True


class PlanUnderLeases(BaseOperator):
    """Plan what writes to tables; while somebody else writes to one of them, wait for that without a worker.

    :param plan: plans, and answers with what it planned; `leased` in it names the leases that are in other hands, and
        then nothing is planned yet. It is told whether it is asked for the first time. May raise AirflowSkipException:
        then what follows is skipped too
    """

    def __init__(
        self,
        *,
        plan: Callable[[Context, bool], Mapping[str, Any]],
        delay_seconds: float = SCHEDULES.waiter_delay_seconds,
        patience_seconds: float = LEASE_PATIENCE.total_seconds(),
        aws_conn_id: str | None = AWS_CONNECTION,
        **kwargs: Any,
    ) -> None:
        patience = Patience(delay_seconds, patience_seconds)
        kwargs.setdefault("execution_timeout", patience.deadline)
        super().__init__(**kwargs)
        self.plan = plan
        self.patience = patience
        self.aws_conn_id = aws_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        return self.plan_or_wait(context, time.time(), is_first=True)

    def execute_complete(
        self, context: Context, event: dict[str, Any] | None = None, waiting_since: float = 0.0
    ) -> dict[str, Any]:
        """The leases' states are no promise: whoever plans first has them, and the plan itself tells."""
        return self.plan_or_wait(context, waiting_since, is_first=False)

    def plan_or_wait(self, context: Context, waiting_since: float, *, is_first: bool) -> dict[str, Any]:
        planned = dict(self.plan(context, is_first))
        if not planned["leased"]:
            return planned
        waited = time.time() - waiting_since
        if waited > self.patience.seconds:
            raise TransientError(
                f"planning {self.task_id}: received {', '.join(planned['leased'])} in other hands for {waited:.0f} s; "
                "valid are free leases; it is retried; look at the load or rebuild that holds them"
            )
        self.log.info("Waiting for %s", ", ".join(planned["leased"]))
        return self.defer(
            trigger=StatesTrigger(
                watched=[str(lease(SETTINGS.leases_table, name)) for name in planned["leased"]],
                delay_seconds=self.patience.delay_seconds,
                attempts=self.patience.attempts,
                aws_conn_id=self.aws_conn_id,
            ),
            method_name="execute_complete",
            kwargs={"waiting_since": waiting_since},
            timeout=self.patience.deadline,
        )


def find_run(glue: Any, job_name: str, plan_uri: str) -> Mapping[str, Any] | None:
    """The run of the job for this plan that is worth most: one that goes on, else one that succeeded, else None."""
    runs = [
        run
        for run in glue.get_job_runs(JobName=job_name, MaxResults=NEWEST_RUNS)["JobRuns"]
        if run.get("Arguments", {}).get("--plan_uri") == plan_uri
    ]
    for wanted in (Outlook.WAIT, Outlook.GOOD):
        for run in runs:
            if JOB_RUN.outlook(run["JobRunState"]) is wanted:
                found: Mapping[str, Any] = run
                return found
    return None


def start_run(glue: Any, job_name: str, arguments: Mapping[str, str]) -> str:
    """Start the job. Raises TransientError while as many runs of it as allowed go on."""
    try:
        return str(glue.start_job_run(JobName=job_name, Arguments=dict(arguments))["JobRunId"])
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConcurrentRunsExceededException":
            raise TransientError(
                f"starting job {job_name}: all of its concurrent runs are taken; valid is a free one; it is retried"
            ) from error
        raise


class Crawl(_WaitForGlue):
    """Run a Glue crawler, or adopt the crawl that already goes on, and wait for its end."""

    def __init__(self, *, crawler_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.crawler_name = crawler_name

    def execute(self, context: Context) -> None:
        try:
            self.glue_client().start_crawler(Name=self.crawler_name)
            self.log.info("Started crawler %s", self.crawler_name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "CrawlerRunningException":
                raise
            self.log.info("Adopted the crawl of %s that already runs", self.crawler_name)
        self.wait_for(Watched("crawl", self.crawler_name), {})

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> str:
        thing = Watched("crawl", self.crawler_name)
        state = read_states(event, [thing])[thing]
        if CRAWL.outlook(state) is Outlook.GOOD:
            return self.crawler_name
        last = self.glue_client().get_crawler(Name=self.crawler_name)["Crawler"].get("LastCrawl", {})
        reason = last.get("ErrorMessage") or "Glue gives no reason"
        error = TransientError if CRAWL.outlook(state) is Outlook.WAIT else TerminalError
        raise error(
            f"crawling with {self.crawler_name}: it is {state} after waiting: {reason}; valid is SUCCEEDED; "
            "read the crawler's log under /aws-glue/crawlers"
        )

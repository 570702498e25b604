"""Writes Data Docs beside the tables they speak of: the pages of what has just ended, and no other.

Each page is one object that is put only where nobody else put another one meanwhile. The page of a table and the index
remember what they show, so the cost of an end is the same however long the history is. What pages say: `data_docs` of
eventlake.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from eventlake import data_docs
from eventlake.data_docs import IndexEntry, Judged
from eventlake.errors import TransientError
from eventlake.load_alerts import ROLLUP
from eventlake.receipt import Validation
from eventlake.rollup_plan import parse_rollup_receipt
from eventlake.settings import DATA_DOCS_PREFIX, Settings
from eventlake_aws import load_store
from eventlake_aws.clients import Clients
from eventlake_aws.definitions_store import current_definitions
from eventlake_aws.paper_store import ROLLUPS_PREFIX, Papers

_THREADS = 8
_TRIES = 20
# somebody else was faster: the object came, changed or went
_OVERTAKEN = (404, 409, 412)


def document_outcome(
    clients: Clients, settings: Settings, *, outcome: Mapping[str, Any], run_url: str
) -> dict[str, Any]:
    """The pages of each table of a load, a rebuild or rollups, of the load, and the index. Again changes nothing."""
    judged = judged_tables(clients, settings, outcome)
    if not judged:
        return {"data_docs_url": f"{settings.data_docs_url}{data_docs.INDEX_PATH}", "pages_written": 0}
    owners = _owners(clients, settings, judged)
    load_id, site = outcome["load_id"], _Site(clients, settings)

    def write_table(one: Judged) -> int:
        owner = owners[one.table]
        page = data_docs.validation_page(one, owner, run_url)
        # before the table's page, which links to it
        is_new = site.write_once(data_docs.validation_path(load_id, one.table), page)

        def shown(former: str) -> str:
            known = data_docs.read_summaries(former)
            return data_docs.table_page(one.table, owner, data_docs.with_summary(known, data_docs.summary_of(one)))

        return is_new + site.update(data_docs.table_path(one.table), shown)

    with ThreadPoolExecutor(_THREADS) as pool:
        written = sum(pool.map(write_table, judged))
    written += site.write_once(
        data_docs.load_path(load_id, outcome["kind"]), data_docs.load_page(load_id, outcome["kind"], run_url, judged)
    )
    entries = [IndexEntry(owners[one.table], data_docs.summary_of(one)) for one in judged]

    def listed(former: str) -> str:
        return data_docs.index_page(data_docs.with_entries(data_docs.read_entries(former), entries))

    written += site.update(data_docs.INDEX_PATH, listed)
    return {
        "data_docs_url": f"{settings.data_docs_url}{data_docs.load_path(load_id, outcome['kind'])}",
        "pages_written": written,
    }


def judged_tables(clients: Clients, settings: Settings, outcome: Mapping[str, Any]) -> list[Judged]:
    """What ended, with what its suites said. A table that brought nothing has nothing to show."""
    validations, ended_at = _said(clients, settings, outcome)
    ends: dict[str, tuple[str, tuple[str, ...]]] = {
        **dict.fromkeys(outcome["empty"], ("empty", ())),
        **dict.fromkeys(outcome["stale"], ("stale", ())),
        **{table: ("held", tuple(reasons)) for table, reasons in outcome["held"].items()},
        **{table: ("failed", tuple(reasons)) for table, reasons in outcome["failed"].items()},
        **{table: ("published", tuple(outcome["warnings"].get(table, ()))) for table in outcome["published"]},
    }
    at = datetime.fromisoformat(ended_at).astimezone(UTC).isoformat(timespec="seconds")
    return [
        Judged(table, outcome["load_id"], outcome["job_run_id"], outcome["kind"], status, reasons, at, said)
        for table, (status, reasons) in sorted(ends.items())
        for said in [validations.get(table)]
        if status != "empty" or (said is not None and said.results)
    ]


def _said(clients: Clients, settings: Settings, outcome: Mapping[str, Any]) -> tuple[dict[str, Validation | None], str]:
    """Of each table, and when."""
    load_id, job_run_id = outcome["load_id"], outcome["job_run_id"]
    if outcome["kind"] == ROLLUP:
        rolled = parse_rollup_receipt(Papers(clients, settings, ROLLUPS_PREFIX).read_receipt(load_id, job_run_id))
        return {one.table: one.validation for one in rolled.rollups}, outcome["ended_at"]
    receipt = load_store.read_receipt(clients, settings, load_id, job_run_id)
    return {one.table: one.validation for one in receipt.tables}, receipt.ended_at


def _owners(clients: Clients, settings: Settings, judged: list[Judged]) -> dict[str, str]:
    definitions = current_definitions(clients, settings)
    return {one.table: definitions.owner_of_table(one.table) for one in judged}


class _Site:
    """The pages as objects."""

    def __init__(self, clients: Clients, settings: Settings) -> None:
        self._s3 = clients.s3
        self._bucket = settings.lake_bucket

    def write_once(self, path: str, page: str) -> bool:
        """Whether it was not there yet."""
        return self._put(path, page, {"IfNoneMatch": "*"})

    def update(self, path: str, shown: Callable[[str], str]) -> bool:
        """Puts what `shown` makes of the page that is there; whether that is another one."""
        for _ in range(_TRIES):
            former, condition = self._read(path)
            page = shown(former)
            if page == former:
                return False
            if self._put(path, page, condition):
                return True
        raise TransientError(
            f"writing s3://{self._bucket}/{DATA_DOCS_PREFIX}{path}: received {_TRIES} pages of others in between; "
            "valid is a page that stays for a moment; run the task again"
        )

    def _read(self, path: str) -> tuple[str, dict[str, str]]:
        """The page, and what has to hold for it to be replaced."""
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=DATA_DOCS_PREFIX + path)
        except self._s3.exceptions.NoSuchKey:
            return "", {"IfNoneMatch": "*"}
        return answer["Body"].read().decode(), {"IfMatch": answer["ETag"]}

    def _put(self, path: str, page: str, condition: Mapping[str, str]) -> bool:
        try:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=DATA_DOCS_PREFIX + path,
                Body=page.encode(),
                ContentType="text/html; charset=utf-8",
                **condition,
            )
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in _OVERTAKEN:
                return False
            raise
        return True

"""Every resource name of the lake, derived from a prefix, an account and a region; and the few numbers people set.

Names live here and in `include/cloudformation/lake.yaml` only; a test holds the two together.
What does not belong here: reading the process environment (entry points pass a mapping in).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from eventlake.errors import TerminalError

RAW_DATABASE = "raw"
DECISIONS_DATABASE = "decisions"
EVENTS_DATABASE = "events"
ROLLUPS_DATABASE = "rollups"
QUARANTINE_TABLE = "quarantine.rows"
UNCONTRACTED_TABLE = "events.uncontracted"
SPARK_CATALOG = "glue_catalog"
QUARANTINE_DATABASE = "quarantine"
CONTROL_DATABASE = "control"
# those whose tables are Iceberg's; the others hold what the crawlers saw
ICEBERG_DATABASES = (EVENTS_DATABASE, ROLLUPS_DATABASE, QUARANTINE_DATABASE, CONTROL_DATABASE)
# in the lake bucket; its pages live as long as `retention` says
DATA_DOCS_PREFIX = "data-docs/"
DATABASES = (RAW_DATABASE, DECISIONS_DATABASE, *ICEBERG_DATABASES)


@dataclass(frozen=True)
class Settings:
    """Names of one lake. `prefix` tells two lakes of one account apart (project and stage)."""

    prefix: str = "eventlake-local"
    account_id: str = "000000000000"
    region: str = "eu-west-1"
    claim_window_hours: int = 24
    delivery_buffer_seconds: int = 60
    load_ceiling_bytes: int = 8 * 1024**3
    # shares of a type's records above which its load is held
    quarantine_rate_ceiling: float = 0.25
    reject_rate_ceiling: float = 0.25
    # how long a published load can be taken back, and how old an unnamed file has to be before it is deleted
    undo_window_days: int = 7
    orphan_age_days: int = 3
    # what stands before `docs/runbooks/…` in a link; empty: messages name the file of the repository
    runbook_base_url: str = ""
    # what stands before `index.html` of Data Docs in a link; empty: messages name the objects of the bucket
    data_docs_base_url: str = ""

    @staticmethod
    def from_env(environment: Mapping[str, str]) -> Settings:
        """Settings of the lake that the environment names. Raises TerminalError on a number that is none."""
        return Settings(
            prefix=environment.get("LAKE_PREFIX", Settings.prefix),
            account_id=environment.get("LAKE_ACCOUNT_ID", Settings.account_id),
            region=environment.get("AWS_REGION", environment.get("AWS_DEFAULT_REGION", Settings.region)),
            claim_window_hours=_whole_number(environment, "LAKE_CLAIM_WINDOW_HOURS", Settings.claim_window_hours),
            delivery_buffer_seconds=_whole_number(
                environment, "LAKE_DELIVERY_BUFFER_SECONDS", Settings.delivery_buffer_seconds
            ),
            load_ceiling_bytes=_whole_number(environment, "LAKE_LOAD_CEILING_BYTES", Settings.load_ceiling_bytes),
            quarantine_rate_ceiling=_share(
                environment, "LAKE_QUARANTINE_RATE_CEILING", Settings.quarantine_rate_ceiling
            ),
            reject_rate_ceiling=_share(environment, "LAKE_REJECT_RATE_CEILING", Settings.reject_rate_ceiling),
            undo_window_days=_whole_number(environment, "LAKE_UNDO_WINDOW_DAYS", Settings.undo_window_days),
            orphan_age_days=_whole_number(environment, "LAKE_ORPHAN_AGE_DAYS", Settings.orphan_age_days),
            runbook_base_url=_base_url(environment, "LAKE_RUNBOOK_BASE_URL", "the repository's files open"),
            data_docs_base_url=_base_url(environment, "LAKE_DATA_DOCS_BASE_URL", "the pages of Data Docs open"),
        )

    @property
    def stack(self) -> str:
        return self.prefix

    @property
    def stream(self) -> str:
        return f"{self.prefix}-events"

    @property
    def raw_delivery(self) -> str:
        return f"{self.prefix}-raw"

    @property
    def decisions_delivery(self) -> str:
        return f"{self.prefix}-decisions"

    @property
    def raw_bucket(self) -> str:
        return f"{self.prefix}-raw-{self.account_id}"

    @property
    def lake_bucket(self) -> str:
        return f"{self.prefix}-lake-{self.account_id}"

    @property
    def artifacts_bucket(self) -> str:
        return f"{self.prefix}-artifacts-{self.account_id}"

    @property
    def warehouse_uri(self) -> str:
        return f"s3://{self.lake_bucket}/warehouse"

    @property
    def data_docs_url(self) -> str:
        """Where the site of Data Docs begins: as a person opens it, or where its objects lie."""
        return self.data_docs_base_url or f"s3://{self.lake_bucket}/{DATA_DOCS_PREFIX}"

    @property
    def claims_table(self) -> str:
        return f"{self.prefix}-claims"

    @property
    def landings_table(self) -> str:
        return f"{self.prefix}-landings"

    @property
    def leases_table(self) -> str:
        return f"{self.prefix}-leases"

    @property
    def positions_table(self) -> str:
        return f"{self.prefix}-positions"

    @property
    def landings_queue(self) -> str:
        return f"{self.prefix}-landings"

    @property
    def landings_dead_letter_queue(self) -> str:
        return f"{self.prefix}-landings-dead-letter"

    @property
    def protection_secret(self) -> str:
        """The secret that holds the key of hashed fields."""
        return f"{self.prefix}-protection-key"

    @property
    def alerts_topic_arn(self) -> str:
        return f"arn:aws:sns:{self.region}:{self.account_id}:{self.prefix}-alerts"

    @property
    def alerts_inbox_queue(self) -> str:
        return f"{self.prefix}-alerts-inbox"

    @property
    def admit_function(self) -> str:
        return f"{self.prefix}-admit_events"

    @property
    def record_landing_function(self) -> str:
        return f"{self.prefix}-record_landing"

    @property
    def load_job(self) -> str:
        return f"{self.prefix}-load_events"

    @property
    def rollup_job(self) -> str:
        return f"{self.prefix}-roll_up"

    @property
    def compaction_job(self) -> str:
        return f"{self.prefix}-compact_tables"

    @property
    def raw_crawler(self) -> str:
        return f"{self.prefix}-raw"

    @property
    def late_crawler(self) -> str:
        return f"{self.prefix}-late"

    @property
    def decisions_crawler(self) -> str:
        return f"{self.prefix}-decisions"


def _whole_number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()):
        raise TerminalError(
            f"reading setting {name}: received {text!r}; valid is a whole number such as {default}; "
            f"correct or unset {name}"
        )
    return int(text)


def _share(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"0(\.[0-9]+)?|1(\.0+)?", text):
        raise TerminalError(
            f"reading setting {name}: received {text!r}; valid is a share from 0 to 1 such as {default}; "
            f"correct or unset {name}"
        )
    return float(text)


def _base_url(environment: Mapping[str, str], name: str, what_opens: str) -> str:
    text = environment.get(name, "").replace(" ", "%20")
    if text and not re.fullmatch(r"https?://[^/\s?#%]+(/[^\s?#]*)?|file:///[^\s?#]*", text):
        raise TerminalError(
            f"reading setting {name}: received {text!r}; valid is the address under which {what_opens}, "
            f"such as https://example.com/eventlake/; correct or unset {name}"
        )
    return text if not text or text.endswith("/") else f"{text}/"

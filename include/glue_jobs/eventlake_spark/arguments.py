"""What a job was asked to do: its arguments, and its plan. What does not belong here: doing it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from eventlake.errors import TerminalError


@dataclass(frozen=True)
class JobArguments:
    """The arguments of a run. Those after `receipt_prefix` are empty for jobs that read no landings."""

    job_run_id: str
    plan_uri: str
    receipt_prefix: str
    load_id: str
    raw_bucket: str
    protection_secret: str  # name of the secret that holds the key of hashed fields, never the key
    code_hash: str  # of the code that was deployed; empty where a deployment does not say

    @property
    def lake_bucket(self) -> str:
        """The bucket that holds the plan holds the definitions too."""
        return self.plan_uri.removeprefix("s3://").partition("/")[0]

    def uri_beside_receipt(self, name: str) -> str:
        """Where this run writes something; no two runs of a job share a name."""
        stem, _, ending = name.partition(".")
        return f"{self.receipt_prefix.rstrip('/')}/{stem}-{self.job_run_id}.{ending}"


def parse_arguments(argv: Sequence[str], *, reads_landings: bool) -> JobArguments:
    """Glue adds arguments of its own (`--enable-metrics`, `--TempDir`, …); those are passed over."""
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False)
    for name in ("JOB_RUN_ID", "plan_uri", "receipt_prefix"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("load_id", "raw_bucket"):
        parser.add_argument(f"--{name}", required=reads_landings, default="")
    for name in ("protection_secret", "code_hash"):
        parser.add_argument(f"--{name}", default="")
    try:
        known, _ = parser.parse_known_args(list(argv))
    except (argparse.ArgumentError, SystemExit) as error:
        raise TerminalError(
            f"starting a job: received the arguments {sorted(each for each in argv if each.startswith('--'))}; "
            f"valid are {parser.format_usage().strip()}; start it through its DAG"
        ) from error
    names = ("JOB_RUN_ID", "plan_uri", "receipt_prefix", "load_id", "raw_bucket", "protection_secret", "code_hash")
    return JobArguments(*(getattr(known, name) for name in names))

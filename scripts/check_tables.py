"""`make check`, its third part: what a lake that runs would make of the contracts: its tables, and what has landed.

    python scripts/check_tables.py [FOLDER ...]

The lake is the checkout's own where it is up. With LIVE=1 there has to be one: without a lake of the checkout it is the
one that LAKE_PREFIX, LAKE_ACCOUNT_ID and the environment's credentials name. What does not belong here: the comparison
(eventlake_aws.live_contracts).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from deploy import read_definitions
from eventlake.contract import ContractIndex, parse_contract
from eventlake.errors import TerminalError
from eventlake.settings import Settings
from eventlake_aws.clients import Clients
from eventlake_aws.definitions_store import CURRENT_KEY
from eventlake_aws.live_contracts import LiveFindings, compare_with_lake
from laptop import entry
from laptop.home import Home
from laptop.lifecycle import is_up
from laptop.programs import adopt

INCLUDE = Path(__file__).resolve().parent.parent / "include"
NO_LAKE = "tables: not compared, no lake of this checkout runs (LIVE=1 asks for the one that the environment names)"


def main() -> int:
    folders = [Path(each) for each in sys.argv[1:]] or [INCLUDE]
    home = Home.from_env(os.environ)
    asked = _asked()
    if is_up(home):
        adopt(home.read_env())
        # what was drafted for this lake alone is deployed with it
        folders.append(home.folder)
    elif not asked:
        print(NO_LAKE)
        return 0
    settings = Settings.from_env(os.environ)
    silence = why_no_answer(settings)
    if silence is not None and asked:
        raise TerminalError(
            f"comparing with the lake {settings.prefix}: received {silence}; valid is a lake that answers: `make up` "
            "starts one here, LAKE_PREFIX, LAKE_ACCOUNT_ID and AWS credentials name one elsewhere"
        )
    if silence is not None:
        print(f"tables: not compared, the lake {settings.prefix} is not ready: {silence}")
        return 0
    schemas, _, _ = read_definitions(folders)
    contracts = ContractIndex(parse_contract(f"{name}.json", schema) for name, schema in schemas.items())
    findings = compare_with_lake(Clients.from_settings(settings), settings, contracts)
    for line in report(findings, settings):
        print(line)
    for refusal in findings.refusals:
        print(f"fault: {refusal}", file=sys.stderr)
    return 1 if findings.refusals else 0


def _asked() -> bool:
    text = entry.given("LAKE_LIVE")
    if text not in (None, "1"):
        raise TerminalError(f"reading LIVE: received {text!r}; valid is 1, or nothing")
    return text == "1"


def why_no_answer(settings: Settings) -> str | None:
    """Soon, where nobody answers: the lake's own clients are patient, a person at a shell is not. None: it does."""
    patience = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 2})
    try:
        s3 = boto3.client("s3", region_name=settings.region, config=patience)
        s3.head_object(Bucket=settings.lake_bucket, Key=CURRENT_KEY)
    except (BotoCoreError, ClientError) as error:
        return " ".join(str(error).split())
    return None


def report(findings: LiveFindings, settings: Settings) -> Iterable[str]:
    for note in findings.notes:
        yield f"note: {note}"
    yield (
        f"tables: {findings.tables} of the lake {settings.prefix} compared; "
        f"{len(findings.notes)} notes, {len(findings.refusals)} faults"
    )


if __name__ == "__main__":
    entry.run(main)

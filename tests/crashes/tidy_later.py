"""Tidies a lake's tables as if a month had gone by: no file is too young then, and no snapshot can be undone any more.

    AWS_ENDPOINT_URL=… LAKE_PREFIX=… python -m tests.crashes.tidy_later

Prints what tidying did. A process of its own, because the lake is named by the environment. What does not belong here:
whether anything is left over, which an independent reader says (tests/journeys/independent_reader.py).
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

from eventlake.settings import Settings
from eventlake_aws.clients import Clients
from eventlake_aws.tidy_tables import tidy_tables

LATER = timedelta(days=30)

if __name__ == "__main__":
    settings = Settings.from_env(os.environ)
    now = datetime.now(UTC) + LATER
    print(json.dumps(tidy_tables(Clients(settings), settings, owner="crash-drill", dry_run=False, now=now)))

"""`make mute INCIDENT=… UNTIL=… REASON=…`: an open incident is not told again before then; `make alerts` names it."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from eventlake.given_reason import NOBODY_NAMED
from eventlake.settings import Settings
from eventlake_aws.alerts import mute_incident
from eventlake_aws.clients import Clients
from laptop import entry
from laptop.home import Home
from laptop.programs import adopt
from send import require_up


def main() -> int:
    incident, until, reason = (entry.given(f"LAKE_{name}") or "" for name in ("INCIDENT", "UNTIL", "REASON"))
    home = Home.from_env(os.environ)
    require_up(home)
    adopt(home.read_env())
    settings = Settings.from_env(os.environ)
    muted = mute_incident(
        Clients(settings),
        settings,
        incident=incident,
        until=until,
        reason=reason,
        muted_by=NOBODY_NAMED,
        now=datetime.now(UTC),
    )
    print(f"{muted['incident']} is muted until {muted['until']}, unless it gets worse")
    return 0


if __name__ == "__main__":
    entry.run(main)

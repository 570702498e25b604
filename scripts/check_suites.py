"""`make check`, its second half: every expectation of the suites in include/ is one that Great Expectations can run.

    python scripts/check_suites.py [FOLDER ...]

An unknown type or a wrong argument would give no answer, and so hold every load of its table. What does not belong
here: what needs no Great Expectations (check_definitions.py). It is slow to import, and only the jobs have it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from eventlake.definitions import Expectation, parse_suite
from eventlake.errors import LakeError

INCLUDE = Path(__file__).resolve().parent.parent / "include"


def faults_of(folder: Path) -> Iterator[str]:
    """What Great Expectations refuses in the suites of one folder of definitions, in its own words, a line each."""
    for path in sorted((folder / "expectations").glob("*.json")):
        try:
            suite = parse_suite(path.stem, json.loads(path.read_text(encoding="utf-8")))
        except (LakeError, ValueError):
            # check_definitions.py says so
            continue
        for number, expectation in enumerate(suite.expectations, start=1):
            if refusal := _refusal(expectation):
                yield (
                    f"checking {path}: received expectation {number}, {expectation.type}: {refusal}; valid is an "
                    "expectation of Great Expectations with its own arguments; correct it"
                )


def _refusal(expectation: Expectation) -> str | None:
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    try:
        ExpectationConfiguration(type=expectation.type, kwargs=dict(expectation.kwargs)).to_domain_obj()
    # whatever it is that GX throws at what it cannot make, the load would throw it, too
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
    return None


def main(arguments: list[str]) -> int:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    faults = [fault for folder in [Path(each) for each in arguments] or [INCLUDE] for fault in faults_of(folder)]
    for fault in faults:
        print(f"fault: {fault}", file=sys.stderr)
    print(f"suites: Great Expectations refuses {len(faults)} expectations")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

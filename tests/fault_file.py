"""The file of faults that a running emulator reads (emulator/faults.py), changed so that it sees each change at once.

Belongs in here: how the file is replaced. Does not belong here: which faults there are, and who asks for them.
"""

from __future__ import annotations

import json
from pathlib import Path


def write_faults(path: Path, **faults: int) -> None:
    """A new file in place of the one before: never read half, and never taken for the one before."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(json.dumps(faults))
    new.replace(path)

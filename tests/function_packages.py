"""Packages of functions with another handler planted before their own. Not here: what such a handler does."""

from __future__ import annotations

import io
import zipfile


def with_door(package: bytes, door: str) -> bytes:
    """The package of a function with another handler before its own, which is then called true_handler."""
    planted = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(planted, "w") as new:
        for entry in old.namelist():
            new.writestr("true_handler.py" if entry == "handler.py" else entry, old.read(entry))
        new.writestr("handler.py", door)
    return planted.getvalue()

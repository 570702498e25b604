"""The lines of a file go on the stream byte by byte: what is cut off, padded or no JSON has its verdict there."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from laptop.event_file import lines_of, require_events

LINES = [b'{"event_uuid": "x", "app": {"platform": ', b'  {"a": 1}\t', b"\xff\xfe", b'{"a": 1}']


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_only_the_ends_of_lines_and_blank_ones_are_left_out(tmp_path: Path, end: bytes, packed: bool) -> None:
    body = end.join([LINES[0], b"", LINES[1], b" \t", *LINES[2:]]) + end
    file = tmp_path / "events.ndjson"
    file.write_bytes(gzip.compress(body) if packed else body)
    assert list(lines_of(file)) == LINES


def test_a_file_whose_objects_are_indented_holds_events(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(b'  {"a": 1}\n')
    assert require_events(file) == file

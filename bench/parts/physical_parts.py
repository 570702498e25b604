"""The physical parts of a load, each alone and by the fastest library at hand: unpack, parse, write Parquet.

Runs in the laptop's environment: zlib, DuckDB's JSON reader with the types given, PyArrow's Parquet writer.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet

from bench.parts.measured import costs_of, tell


def main(order: dict[str, Any]) -> None:
    folder = Path(order["folder"])
    packed = [folder / "a-raw" / each["key"] for each in json.loads(Path(order["objects"]).read_text())]
    plain = folder / "plain.ndjson"
    connection = duckdb.connect(config={"threads": 2})
    unpacked = costs_of(lambda: [gzip.decompress(each.read_bytes()) for each in packed])
    with plain.open("wb") as file:
        for each in packed:
            file.write(gzip.decompress(each.read_bytes()))
    read = f"read_json('{plain}', format='newline_delimited', ignore_errors=true, maximum_object_size=2000000"
    columns = {
        name: kind
        for name, kind, *_ in connection.execute(f"DESCRIBE SELECT * FROM {read}, sample_size=20000)").fetchall()
    }
    typed = f"{read}, columns={{{', '.join(f'{_text(name)}: {_text(kind)}' for name, kind in columns.items())}}})"
    parsed = costs_of(lambda: connection.execute(f"SELECT {_each_column(columns)} FROM {typed}").fetchall())
    table = connection.sql(f"SELECT * FROM {typed}").to_arrow_table()
    plain.unlink()
    written = costs_of(
        lambda: pyarrow.parquet.write_table(table, folder / "physical.parquet", compression="zstd", compression_level=3)
    )
    parts = {"unpack": unpacked["cpu_s"], "parse": parsed["cpu_s"], "write": written["cpu_s"]}
    tell({"parts": parts, "cpu_s": round(sum(parts.values()), 2)})


def _each_column(columns: dict[str, str]) -> str:
    """Something of every column, or the reader would pass it over."""
    return ", ".join(f'count("{name}")' for name in columns)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


if __name__ == "__main__":
    main(json.load(sys.stdin))

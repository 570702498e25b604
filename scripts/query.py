"""`make query SQL="…"`: SQL over the published tables, as a neat table. Without SQL: the tables and their rows."""

from __future__ import annotations

import os

from eventlake.settings import Settings
from eventlake_aws.iceberg_catalog import open_catalog
from laptop import entry
from laptop.home import Home
from laptop.programs import adopt
from laptop.tables import Answer, ask, published_rows, table_names
from send import require_up

SHOWN_ROWS = 200
WIDEST_CELL = 60
NUMBERS = ("INT", "DECIMAL", "DOUBLE", "FLOAT", "REAL", "HUGEINT")


def main() -> int:
    home = Home.from_env(os.environ)
    sql = entry.given("LAKE_SQL")
    require_up(home)
    adopt(home.read_env())
    catalog = open_catalog(Settings.from_env(os.environ))
    if sql is None:
        rows = [(name, f"{published_rows(catalog.load_table(name)):,}") for name in table_names(catalog)]
        answer = Answer(["table", "rows"], ["VARCHAR", "BIGINT"], list(rows))
    else:
        answer = ask(catalog, sql)
    print("\n".join(as_text(answer)))
    return 0


def as_text(answer: Answer) -> list[str]:
    """Columns as wide as they need, numbers to the right."""
    cells = [[shorten(value) for value in row] for row in answer.rows[:SHOWN_ROWS]]
    widths = [max([len(name), *(len(row[place]) for row in cells)]) for place, name in enumerate(answer.columns)]
    right = [any(kind in one for kind in NUMBERS) for one in answer.types]

    def line(values: list[str]) -> str:
        padded = (
            value.rjust(width) if left else value.ljust(width)
            for value, width, left in zip(values, widths, right, strict=True)
        )
        return "  ".join(padded).rstrip()

    told = [line(answer.columns), line(["-" * width for width in widths]), *(line(row) for row in cells)]
    if len(answer.rows) > SHOWN_ROWS:
        told.append(f"… {len(answer.rows) - SHOWN_ROWS:,} more rows")
    told.append(f"({len(answer.rows):,} {'row' if len(answer.rows) == 1 else 'rows'})")
    return told


def shorten(value: str | None) -> str:
    if value is None:
        return "-"
    text = " ".join(value.split())
    return text if len(text) <= WIDEST_CELL else text[: WIDEST_CELL - 1] + "…"


if __name__ == "__main__":
    entry.run(main)

"""The demo's story for a person, and its report for a program. What does not belong here: finding the numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laptop.airflow_api import RunEnd
from laptop.demo_figures import Figures
from laptop.producer import SendReport

SHOWN_TABLES = 30


@dataclass(frozen=True)
class DemoResult:
    """Everything that a demo saw."""

    send: SendReport
    sent_distinct: int
    drained_seconds: float
    figures: Figures
    runs: Mapping[str, RunEnd]
    seconds: Mapping[str, float]
    drafted: tuple[str, ...]
    peak_memory_bytes: int
    # nothing was sent to this lake before
    fresh: bool = True

    @property
    def is_good(self) -> bool:
        return not self.troubles()

    def troubles(self) -> list[str]:
        """Why the demo fails, a line each; none when it does not."""
        found = [f"DAG {run.dag_id} ended as {run.state}" for run in self.runs.values() if run.state != "success"]
        figures = self.figures
        if figures.residual:
            where = ", ".join(f"{count:,} at {station}" for station, count in figures.stations.items())
            found.append(
                f"the books do not balance: {figures.residual:,} records differ ({where}); "
                f"for example {', '.join(figures.samples[:3])}"
            )
        verdicts = figures.admitted + figures.duplicates + sum(figures.rejected.values()) + figures.replayed
        sent_all = figures.received == self.send.sent or (not self.fresh and figures.received > self.send.sent)
        if not sent_all or verdicts != figures.received:
            found.append(f"sent {self.send.sent:,}, received {figures.received:,}, with a verdict {verdicts:,}")
        return found


def report_of(result: DemoResult) -> dict[str, Any]:
    """`.lake/demo.json`."""
    figures = result.figures
    return {
        "sent": result.send.sent,
        "sent_distinct": result.sent_distinct,
        "received": figures.received,
        "admitted": figures.admitted,
        "duplicates": figures.duplicates,
        "rejected": figures.rejected,
        "replayed": figures.replayed,
        "landed_objects": figures.landed_objects,
        "loaded": figures.loaded,
        "load_duplicates": figures.load_duplicates,
        "quarantined": figures.quarantined,
        "waiting": figures.waiting,
        "held": figures.held,
        "residual": figures.residual,
        "tables": figures.tables,
        "dag_runs": {
            dag_id: {"state": run.state, "seconds": round(run.seconds, 1)} for dag_id, run in result.runs.items()
        },
        "seconds": {name: round(value, 1) for name, value in result.seconds.items()},
    }


def story_of(result: DemoResult) -> list[str]:
    figures, send = result.figures, result.send
    rate = send.sent / max(result.drained_seconds, 0.001)
    rejected, quarantined = sum(figures.rejected.values()), sum(figures.quarantined.values())
    return [
        "",
        f"The walk of {send.sent:,} events",
        *(
            []
            if result.fresh
            else ["  (this lake held records before; all figures but those of `sent` count them too)"]
        ),
        f"  sent        {send.sent:,} ({result.sent_distinct:,} distinct) in {send.seconds:.1f} s; "
        f"each had its verdict after {result.drained_seconds:.1f} s ({rate:,.0f} a second)",
        f"  verdicts    {figures.admitted:,} admitted, {figures.duplicates:,} duplicate, {rejected:,} rejected, "
        f"{figures.replayed:,} replayed",
        *(f"                {count:>7,}  {reason}" for reason, count in figures.rejected.items()),
        f"  raw         {figures.landed_objects:,} objects landed",
        f"  loaded      {figures.loaded:,} rows published, {figures.load_duplicates:,} duplicates dropped by the load",
        f"  quarantine  {quarantined:,} rows",
        *(f"                {count:>7,}  {reason}" for reason, count in figures.quarantined.items()),
        f"  left        {figures.waiting:,} waiting, {figures.held:,} held",
        "",
        *books_lines(figures),
        "",
        *table_lines(figures.tables, "Tables"),
        *table_lines(figures.rollups, "Rollups"),
        *drafted_lines(result.drafted),
        "DAG runs",
        *(line for run in result.runs.values() for line in run_lines(run)),
        "",
        "Seconds: "
        + ", ".join(f"{name} {value:.0f}" for name, value in result.seconds.items())
        + f"; peak memory of all processes {result.peak_memory_bytes / 1024**3:.1f} GiB",
    ]


def run_lines(run: RunEnd) -> list[str]:
    """The run's own note says what happened; where its papers lie, the UI shows."""
    note = [part for part in (run.note or "").split("Receipt: ")[0].splitlines() if part]
    return [f"  {run.dag_id:<18} {run.state:<10} {run.seconds:6.1f} s", *(f"      {line}" for line in note)]


def books_lines(figures: Figures) -> list[str]:
    return [
        "The books: balanced, record by record" if not figures.residual else "The books do NOT balance",
        f"  stream      {equation(figures.stream_half, 'received')}",
        f"  tables      {equation(figures.table_half, 'landed')}",
        f"  residual    {figures.residual:,}",
    ]


def equation(half: Mapping[str, int], left: str) -> str:
    """`landed 10 = loaded 8 + duplicate 2`; parts that are nothing stay out, but never the first one."""
    parts = [(name, count) for name, count in half.items() if name != left]
    shown = [
        f"{name.removeprefix('load_')} {count:,}" for place, (name, count) in enumerate(parts) if count or not place
    ]
    return f"{left} {half[left]:,} = " + " + ".join(shown)


def table_lines(tables: Mapping[str, int], title: str) -> list[str]:
    if not tables:
        return []
    width = max(map(len, tables))
    most_first = sorted(tables.items(), key=lambda item: -item[1])
    shown = [f"  {name:<{width}}  {rows:>9,}" for name, rows in most_first[:SHOWN_TABLES]]
    if len(tables) > SHOWN_TABLES:
        shown.append(f"  … and {len(tables) - SHOWN_TABLES} more")
    return [title, *shown, ""]


def drafted_lines(drafted: Iterable[str]) -> list[str]:
    names = list(drafted)
    if not names:
        return []
    return [
        "Contracts drafted for this lake only (.lake/contracts, for a person to edit)",
        *(f"  {name}" for name in names),
        "",
    ]


def next_lines(home: Path, checkout: Path, tables: Mapping[str, int]) -> list[str]:
    setting = "" if home == checkout / ".lake" else f"LAKE_HOME={home} "
    return [
        "Try next",
        f"  {setting}make up       this lake again, with its tables: the UI shows what each run did",
        *asking_lines(setting, tables),
    ]


def next_lines_composed(ui_url: str, home: Path, checkout: Path, tables: Mapping[str, int]) -> list[str]:
    """The lake of docker-compose.yaml is still up."""
    folder = home.relative_to(checkout) if home.is_relative_to(checkout) else home
    return [
        "Try next",
        f"  {ui_url}   the UI shows what each run did; user and password: {folder}/env",
        *asking_lines(f"LAKE_HOME={folder} ", tables),
        "  docker compose down      stops it, its state stays; docker compose down -v removes that too",
    ]


def asking_lines(setting: str, tables: Mapping[str, int]) -> list[str]:
    biggest = max(tables, key=lambda name: tables[name], default="events.lesson_events")
    return [
        f'  {setting}make query SQL="select event_name, count(*) n from {biggest} group by 1 order by 2 desc"',
        f'  {setting}make query SQL="select reason, rule, count(*) n from quarantine.rows group by all"',
        f"  {setting}make why UUID=…   one record's story",
        f"  {setting}make send INPUT=events.ndjson, then trigger load_events in the UI: duplicates change nothing",
    ]

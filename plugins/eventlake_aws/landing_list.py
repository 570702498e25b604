"""The list of landings in DynamoDB: who waits, and what became of whom.

Does not belong here: writing a new landing (the function record_landing).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from eventlake.layout import Area, waiting_slot, waiting_slots
from eventlake.load_plan import Landing
from eventlake.settings import Settings
from eventlake_aws.clients import Clients

WAITING_INDEX = "waiting"
_THREADS = 8
_BATCH_GET_MOST = 100
_HELD_BY_LOAD = "#status = :held AND held_by = :load"


@dataclass(frozen=True)
class LandingRecord:
    """One item of the list."""

    landing: Landing
    status: str
    loaded_by: str | None
    held_by: str | None
    # event days that the load found in it; None before, and where no line says one
    first_day: str | None = None
    last_day: str | None = None
    # rebuilds that derived rows of it anew
    rebuilt_by: frozenset[str] = frozenset()


@dataclass(frozen=True)
class LandingOutcome:
    """What a load learned of a landing."""

    object_key: str
    etag: str
    lines: int
    first_day: str | None
    last_day: str | None


def waiting_landings(clients: Clients, settings: Settings, areas: Sequence[str]) -> list[Landing]:
    """Everything that waits in these areas. The index may lag: an item that was just loaded costs a re-read at most."""
    slots = [slot for area in areas for slot in waiting_slots(Area(area))]
    client = clients.dynamodb
    with ThreadPoolExecutor(_THREADS) as pool:
        pages = pool.map(lambda slot: _query_slot(client, settings, slot), slots)
        return [landing_of_item(item) for page in pages for item in page if item["status"]["S"] == "waiting"]


def landing_records(
    clients: Clients, settings: Settings, identities: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], LandingRecord]:
    """The items of these (object key, ETag); an absent one was never recorded."""
    wanted = sorted(set(identities))
    chunks = [wanted[start : start + _BATCH_GET_MOST] for start in range(0, len(wanted), _BATCH_GET_MOST)]
    client = clients.dynamodb
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(lambda chunk: _batch_get(client, settings, chunk), chunks)
        records = [record_of_item(item) for items in found for item in items]
    return {record.landing.identity: record for record in records}


def mark_loaded(clients: Clients, settings: Settings, load_id: str, outcomes: Iterable[LandingOutcome]) -> int:
    """waiting -> loaded; says how many it marked. One that a faster run marked already stays as it is."""
    return _mark_all(
        clients,
        settings,
        outcomes,
        "SET #status = :done, loaded_by = :load, #lines = :lines, first_day = :first, last_day = :last "
        "REMOVE waiting_slot, held_by",
        "loaded",
        load_id,
    )


def mark_held(clients: Clients, settings: Settings, load_id: str, outcomes: Iterable[LandingOutcome]) -> int:
    """waiting -> held, until somebody releases the load."""
    return _mark_all(
        clients,
        settings,
        outcomes,
        "SET #status = :done, held_by = :load, #lines = :lines, first_day = :first, last_day = :last "
        "REMOVE waiting_slot",
        "held",
        load_id,
    )


def mark_undone(clients: Clients, settings: Settings, load_id: str, landings: Iterable[Landing]) -> int:
    """loaded by this load -> held by it, until it is released: its rows were taken back."""
    return _change_all(
        clients,
        settings,
        landings,
        "SET #status = :held, held_by = :load REMOVE loaded_by",
        "#status = :loaded AND loaded_by = :load",
        lambda landing: {"held": "held", "loaded": "loaded", "load": load_id},
    )


def mark_rebuilt(clients: Clients, settings: Settings, load_id: str, landings: Iterable[Landing]) -> int:
    """Notes a rebuild beside the load: what it dropped as duplicates is said by its papers, too."""
    return _change_all(
        clients,
        settings,
        landings,
        "ADD rebuilt_by :load",
        "#status = :loaded",
        lambda landing: {"load": {load_id}, "loaded": "loaded"},
    )


def mark_released(clients: Clients, settings: Settings, load_id: str, landings: Iterable[Landing]) -> int:
    """held by this load -> waiting."""
    return _change_all(
        clients,
        settings,
        landings,
        "SET #status = :waiting, waiting_slot = :slot REMOVE held_by",
        _HELD_BY_LOAD,
        lambda landing: {
            "waiting": "waiting",
            "held": "held",
            "load": load_id,
            "slot": waiting_slot(Area(landing.area), landing.object_key),
        },
    )


def mark_superseded(
    clients: Clients, settings: Settings, load_id: str, release_id: str, landings: Iterable[Landing]
) -> int:
    """held by this load -> superseded, for good: no load and no rebuild takes it."""
    return _change_all(
        clients,
        settings,
        landings,
        "SET #status = :superseded, superseded_by = :release REMOVE held_by",
        _HELD_BY_LOAD,
        lambda landing: {"superseded": "superseded", "held": "held", "load": load_id, "release": release_id},
    )


def landing_of_item(item: Mapping[str, Any]) -> Landing:
    return Landing(
        object_key=item["object_key"]["S"],
        etag=item["etag"]["S"],
        size_bytes=int(item["size_bytes"]["N"]),
        area=item["area"]["S"],
        event_type=item["event_type"]["S"],
        event_subtype=item["event_subtype"]["S"],
        landed_at=item["landed_at"]["S"],
    )


def record_of_item(item: Mapping[str, Any]) -> LandingRecord:
    return LandingRecord(
        landing_of_item(item),
        item["status"]["S"],
        item.get("loaded_by", {}).get("S"),
        item.get("held_by", {}).get("S"),
        item.get("first_day", {}).get("S"),
        item.get("last_day", {}).get("S"),
        frozenset(item.get("rebuilt_by", {}).get("SS", ())),
    )


def _mark_all(
    clients: Clients,
    settings: Settings,
    outcomes: Iterable[LandingOutcome],
    expression: str,
    status: str,
    load_id: str,
) -> int:
    client = clients.dynamodb

    def mark(outcome: LandingOutcome) -> bool:
        return _update(
            client,
            settings,
            (outcome.object_key, outcome.etag),
            expression,
            # never resurrects: an item that is gone, loaded or held stays so
            "#status = :waiting",
            {
                ":done": {"S": status},
                ":waiting": {"S": "waiting"},
                ":load": {"S": load_id},
                ":lines": {"N": str(outcome.lines)},
                ":first": {"S": outcome.first_day} if outcome.first_day else {"NULL": True},
                ":last": {"S": outcome.last_day} if outcome.last_day else {"NULL": True},
            },
            {"#status": "status", "#lines": "lines"},
        )

    with ThreadPoolExecutor(_THREADS) as pool:
        return sum(pool.map(mark, outcomes))


def _change_all(
    clients: Clients,
    settings: Settings,
    landings: Iterable[Landing],
    expression: str,
    condition: str,
    values: Callable[[Landing], Mapping[str, str | set[str]]],
) -> int:
    """Says how many fulfilled the condition. `values`: texts, and sets of texts."""
    client = clients.dynamodb

    def change(landing: Landing) -> bool:
        typed = {
            f":{name}": {"S": value} if isinstance(value, str) else {"SS": sorted(value)}
            for name, value in values(landing).items()
        }
        return _update(client, settings, landing.identity, expression, condition, typed, {"#status": "status"})

    with ThreadPoolExecutor(_THREADS) as pool:
        return sum(pool.map(change, landings))


def _update(
    client: Any,
    settings: Settings,
    identity: tuple[str, str],
    expression: str,
    condition: str,
    values: Mapping[str, Any],
    names: Mapping[str, str],
) -> bool:
    try:
        client.update_item(
            TableName=settings.landings_table,
            Key={"object_key": {"S": identity[0]}, "etag": {"S": identity[1]}},
            UpdateExpression=expression,
            ConditionExpression=condition,
            ExpressionAttributeValues=values,
            ExpressionAttributeNames=names,
        )
    except client.exceptions.ConditionalCheckFailedException:
        return False
    return True


def _query_slot(client: Any, settings: Settings, slot: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    pages = client.get_paginator("query").paginate(
        TableName=settings.landings_table,
        IndexName=WAITING_INDEX,
        KeyConditionExpression="waiting_slot = :slot",
        ExpressionAttributeValues={":slot": {"S": slot}},
    )
    for page in pages:
        items.extend(page["Items"])
    return items


def _batch_get(client: Any, settings: Settings, identities: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    request: dict[str, Any] = {
        settings.landings_table: {
            "Keys": [{"object_key": {"S": key}, "etag": {"S": etag}} for key, etag in identities],
            "ConsistentRead": True,
        }
    }
    items: list[dict[str, Any]] = []
    while request:
        answer = client.batch_get_item(RequestItems=request)
        items.extend(answer["Responses"].get(settings.landings_table, []))
        request = answer.get("UnprocessedKeys", {})
    return items

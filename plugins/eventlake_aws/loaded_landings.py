"""Landings that were loaded and hold events of some days: what a rebuild reads again.

The bucket's listing says what there is (a landing's key tells its day, or the day on which it arrived), the list of
landings what became of it. What waits or is held is not here: a load takes it, once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from functools import partial

from eventlake.layout import Area, parse_raw_key
from eventlake.rebuild_plan import LoadedLanding, of_types
from eventlake.settings import Settings
from eventlake_aws.bucket_listing import ListedObject, list_folders, list_objects
from eventlake_aws.clients import Clients
from eventlake_aws.landing_list import LandingRecord, landing_records
from eventlake_aws.load_steps import with_pairs

_THREADS = 8


def loaded_landings(
    clients: Clients, settings: Settings, days: Collection[str], types: Collection[str]
) -> list[LoadedLanding]:
    """Every loaded landing that touches one of the days, of these types (of all, when none is named)."""
    listed = _listed(clients, settings, days, types)
    records = landing_records(clients, settings, (one.identity for one in listed))
    spanned = [_spanned(record) for record in records.values() if record.status == "loaded"]
    touching = [one for one in spanned if one.touches(days)]
    landings = with_pairs(clients, settings, [one.landing for one in touching])
    told = [
        LoadedLanding(landing, one.first_day, one.last_day) for landing, one in zip(landings, touching, strict=True)
    ]
    return sorted(of_types(told, types), key=lambda one: one.landing.identity)


def _listed(clients: Clients, settings: Settings, days: Collection[str], types: Collection[str]) -> list[ListedObject]:
    first, last = date.fromisoformat(min(days)), date.fromisoformat(max(days))
    with ThreadPoolExecutor(_THREADS) as pool:
        pages = [pool.submit(list, listing()) for listing in _listings(clients, settings, first, last, types)]
        return [found for page in pages for found in page.result()]


def _listings(
    clients: Clients, settings: Settings, first: date, last: date, types: Collection[str]
) -> Iterator[partial[Iterator[ListedObject]]]:
    """One listing a folder: in raw/ of these days, in late/ and errors/ of all that arrived since the first of them."""
    client, bucket = clients.s3, settings.raw_bucket
    for area in (Area.RAW, Area.LATE):
        for folder in _subtype_folders(clients, settings, area, types):
            until = None if area is Area.LATE else f"{folder}{_hive(last + timedelta(days=1))}"
            yield partial(list_objects, client, bucket, folder, f"{folder}{_hive(first)}", until)
    for folder in list_folders(client, bucket, "errors/"):
        yield partial(list_objects, client, bucket, folder, f"{folder}{first:%Y/%m/%d}/")


def _subtype_folders(clients: Clients, settings: Settings, area: Area, types: Collection[str]) -> Sequence[str]:
    client, bucket = clients.s3, settings.raw_bucket
    folders = [f"{area.value}/event_type={one}/" for one in sorted(types)]
    folders = folders or list_folders(client, bucket, f"{area.value}/")
    with ThreadPoolExecutor(_THREADS) as pool:
        return [found for page in pool.map(lambda one: list_folders(client, bucket, one), folders) for found in page]


def _spanned(record: LandingRecord) -> LoadedLanding:
    """With the span that its load found; the day in its key where no line says one."""
    key = parse_raw_key(record.landing.object_key)
    day_of_key = "" if key is None else key.day
    if key is not None and key.area is Area.RAW:
        return LoadedLanding(record.landing, day_of_key, day_of_key)
    return LoadedLanding(record.landing, record.first_day or day_of_key, record.last_day or day_of_key)


def _hive(day: date) -> str:
    return f"year={day:%Y}/month={day:%m}/day={day:%d}/"

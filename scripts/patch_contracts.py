"""`make contract PATCH=s3://...|file|folder`: puts the fields of a crawl's patches into the contracts' files.

It only adds fields, or a drafted contract where there is none, and writes nothing that `make check` would refuse. What
does not belong here: what a patch says (eventlake.contract_patch).
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3

from check_definitions import check_folder
from deploy import read_json
from draft_contracts import document_text
from eventlake.contract_draft import draft_suite
from eventlake.contract_patch import added_fields, with_patch
from eventlake.errors import TerminalError
from laptop.home import Home
from laptop.lifecycle import is_up
from laptop.programs import adopt


def apply_patches(source: str, folders: list[Path]) -> list[str]:
    """What became of each contract, a line each. All are written, or none is: raises where the check would refuse one.

    `folders` of definitions: a contract is where it is, a new one comes into the first.
    """
    patches = dict(read_patches(source))
    if not patches:
        raise TerminalError(f"reading patches: received none at {source}; valid is what the note of crawl_raw names")
    edits = _Edits(folders)
    for name, patch in sorted(patches.items()):
        edits.apply(name, patch)
    for folder in folders:
        _require_no_new_fault(folder, {path: text for path, text in edits.texts.items() if path.is_relative_to(folder)})
    for path, text in edits.texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return edits.told


class _Edits:
    """What is to be written, file by file, and what a person is told of it."""

    def __init__(self, folders: list[Path]) -> None:
        self.texts: dict[Path, str] = {}
        self.told: list[str] = []
        self._folders = folders

    def apply(self, name: str, patch: Mapping[str, Any]) -> None:
        path = self._found(f"contracts/{name}.json")
        if path is not None:
            self._add_fields(path, {"properties": patch["properties"]})
        elif _is_contract(patch):
            self._write(self._folders[0] / "contracts" / f"{name}.json", patch)
            self._add_suite(name.split("/")[0], patch["x-event-names"])
        else:
            raise TerminalError(
                f"patching the contract {name}: received no file of it in {' or '.join(map(str, self._folders))}; "
                "valid is a patch of a contract that lies here; check out what is deployed"
            )

    def _found(self, place: str) -> Path | None:
        return next((folder / place for folder in self._folders if (folder / place).is_file()), None)

    def _add_fields(self, path: Path, patch: Mapping[str, Any]) -> None:
        document = read_json(path)
        added = added_fields(document, patch)
        if added:
            self.texts[path] = document_text(with_patch(document, patch))
        self.told.append(
            f"{path}: " + (f"added {', '.join(added)}" if added else "has every field of the patch already")
        )

    def _add_suite(self, event_type: str, event_names: list[str]) -> None:
        """A type's table needs a suite, however short."""
        place = self._folders[0] / "expectations" / f"{event_type}.json"
        if place not in self.texts and self._found(f"expectations/{event_type}.json") is None:
            self._write(place, draft_suite(event_type, event_names))

    def _write(self, path: Path, document: Mapping[str, Any]) -> None:
        self.texts[path] = document_text(document)
        self.told.append(f"{path}: drafted")


def _require_no_new_fault(folder: Path, texts: Mapping[Path, str]) -> None:
    """What `make check` would say, asked before anything is written."""
    known = set(check_folder(folder).faults)
    with tempfile.TemporaryDirectory() as made:
        trial = Path(made) / folder.name
        for part in ("contracts", "expectations", "rollups"):
            if (folder / part).is_dir():
                shutil.copytree(folder / part, trial / part)
        for path, text in texts.items():
            written = trial / path.relative_to(folder)
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_text(text, encoding="utf-8")
        faults = [fault.replace(str(trial), str(folder)) for fault in check_folder(trial).faults]
    new = [fault for fault in faults if fault not in known]
    if new:
        raise TerminalError(f"patching contracts: {new[0]}; nothing was written: leave that field out of the patch")


def read_patches(source: str) -> Iterable[tuple[str, dict[str, Any]]]:
    """Name of the contract and patch, from an address in S3, a file, or a folder of `<type>/<subtype>.json`."""
    if source.startswith("s3://"):
        yield from _from_bucket(source)
        return
    path = Path(source)
    if not path.exists():
        raise TerminalError(
            f"reading patches: received {source}, which is not there; valid is s3://..., a file or a folder of "
            "<type>/<subtype>.json; take what the note of crawl_raw names"
        )
    for file in sorted(path.rglob("*.json")) if path.is_dir() else [path]:
        yield f"{file.absolute().parent.name}/{file.stem}", _patch(str(file), read_json(file))


def _from_bucket(source: str) -> Iterator[tuple[str, dict[str, Any]]]:
    home = Home.from_env(os.environ)
    if is_up(home):
        adopt(home.read_env())
    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    s3 = boto3.client("s3")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            event_type, file_name = entry["Key"].split("/")[-2:]
            body = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
            yield f"{event_type}/{file_name.removesuffix('.json')}", _patch(entry["Key"], _json(body))


def _patch(source: str, document: Any) -> dict[str, Any]:
    if not isinstance(document, dict) or not (set(document) == {"properties"} or _is_contract(document)):
        raise TerminalError(
            f"reading the patch {source}: received neither an object of `properties` alone nor a contract; valid is a "
            "patch as crawl_raw writes them, below control/contract-patches/"
        )
    return document


def _json(body: bytes) -> Any:
    """None, which is no patch, where it is no JSON."""
    try:
        return json.loads(body)
    except ValueError:
        return None


def _is_contract(document: Mapping[str, Any]) -> bool:
    return {"x-event-names", "properties"} <= document.keys()

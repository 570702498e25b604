"""Events that carry values which appear nowhere else, of every fate, and the search for these values in a whole lake.

Belongs in here: what is sent, where it is looked for, how bytes of each format are read. Does not belong here: taking
the events through a lake, and what is held of the search.

A value of a field that its contract protects begins with PROTECTED, one of any other field with OPEN.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from itertools import count
from random import Random
from typing import Any

import pyarrow.parquet as parquet

from simulator.catalogue import payload_of
from simulator.scene import MICROSECONDS, Scene
from tests.contract_builders import a_schema

PROTECTED, OPEN = "kanarip", "kanariu"
CANARY = re.compile(rb"kanari[pu][0-9a-z]*", re.IGNORECASE)

# types of their own: a gate that closes over what was sent, and one that cannot answer
_TEXT = {"type": "string", "x-pii": "personal"}
_FIELDS = {"mail": _TEXT | {"format": "email", "x-protect": "hash"}, "note": _TEXT, "spent": {"type": "number"}}
_GATES = {
    "guarded": [
        ("expect_column_values_to_match_regex", {"column": "note", "regex": "^nothing$"}, "critical"),
        ("expect_column_values_to_be_in_set", {"column": "note", "value_set": ["nothing"]}, "high"),
        ("expect_column_distinct_values_to_be_in_set", {"column": "note", "value_set": ["nothing"]}, "low"),
        ("expect_column_most_common_value_to_be_in_set", {"column": "note", "value_set": ["nothing"]}, "low"),
    ],
    "unanswered": [
        ("expect_column_values_to_match_json_schema", {"column": "note", "json_schema": {"type": "object"}}, "high"),
        ("expect_column_mean_to_be_between", {"column": "note", "max_value": 1}, "high"),
    ],
}


def contracts() -> dict[str, dict[str, Any]]:
    return {f"{name}/seen": a_schema(_FIELDS, key=f"{name}/seen", required=["mail"]) for name in _GATES}


def suites() -> dict[str, dict[str, Any]]:
    return {
        name: {
            "name": name,
            "expectations": [
                {"type": kind, "kwargs": kwargs, "meta": {"severity": severity, "why": "planted by a test"}}
                for kind, kwargs, severity in asked
            ],
        }
        for name, asked in _GATES.items()
    }


class Sent:
    """The events of one test, each a line of bytes. `now`: Unix seconds at which all of them happened."""

    def __init__(self, now: int) -> None:
        self._numbers = count(1)
        self._scene = Scene(Random(5), now * MICROSECONDS)
        self._now = now

    def good(self) -> list[bytes]:
        """Rows that reach readers: one of each contract that protects something, each protected field with a value."""
        return [
            self.of("account:created", email=self.mail(), display_name=self.name()),
            self.of("account:email:verified", email=self.mail(), network={"ip_address": self.name(), "country": "DE"}),
            self.of("account:profile:updated", display_name=self.name(), about=self.open()),
            self.of("certificate:issued", holder_name=self.name()),
            self.of("classroom:licence:purchased", contact={"name": self.name(), "email": self.mail()}),
            self.of("device:registered", push_token=self.name()),
            self.of("invoice:issued", tax_number=f"DE{self.name()}".upper()),
            # what rollups are made of
            self.of("lesson:completed"),
            self.of("session:started"),
            self.of("payment:order:created"),
        ]

    def bad(self) -> list[bytes]:
        """Rows that end in quarantine, by a rule of each sort."""
        return [
            self.of("account:created", email=f"{self.name()} is no address"),
            self.of("account:created", email=self.mail(), display_name=self.name() * 20),
            self.of("account:created", email=self.mail(), birth_year=self.open()),
            self.of("account:created", email=self.mail(), signup_method=self.open()),
            self.of("account:created", email=None, display_name=self.name()),
            self.of("account:created", email=[self.mail()]),
            self.of("invoice:issued", tax_number=self.name()),
        ]

    def gated(self) -> list[bytes]:
        """Rows that a suite refuses, or cannot judge."""
        return [self.event(f"{name}:seen", mail=self.mail(), note=self.open(), spent=1) for name in _GATES]

    def unknown(self) -> list[bytes]:
        """Rows of names that no contract knows."""
        return [self.event("visitor:greeted", email=self.open()), self.event("visitor:left", email=self.open())]

    def refused(self) -> list[bytes]:
        """What the stream does not take."""
        first = json.loads(self.of("account:created", email=self.mail()))
        return [
            f'{{"email": "{self.open()}"'.encode(),
            json.dumps({"event_name": "account:created", "email": self.open()}).encode(),
            json.dumps(first).encode(),
            json.dumps(first | {"email": self.mail()}).encode(),
            self.event("account:created", created_at="soon", email=self.mail()),
        ]

    def of(self, event_name: str, **fields: Any) -> bytes:
        payload = json.loads(json.dumps(payload_of(event_name, self._scene), default=float))
        return self.event(event_name, **{**payload, **fields})

    def event(self, event_name: str, **fields: Any) -> bytes:
        envelope = {"event_uuid": self._scene.uuid(), "event_name": event_name, "created_at": self._now}
        return json.dumps(envelope | fields).encode()

    def name(self) -> str:
        return f"{PROTECTED}{next(self._numbers):03d}"

    def open(self) -> str:
        return f"{OPEN}{next(self._numbers):03d}"

    def mail(self) -> str:
        return f"{self.name()}@example.com"


def found_in(content: bytes) -> set[str]:
    return {found.decode().lower() for found in CANARY.findall(content)}


def readable(key: str, body: bytes) -> bytes:
    """The bytes of an object with whatever was compressed in it laid open."""
    if body[:2] == b"\x1f\x8b":
        return gzip.decompress(body)
    if body[:4] == b"PAR1":
        # the footer holds bounds of the values as they are
        return body + str(parquet.read_table(io.BytesIO(body)).to_pylist()).encode()
    if body[:4] == b"Obj\x01":
        return body + b"".join(_avro_blocks(body))
    return body


def _avro_blocks(body: bytes) -> Iterator[bytes]:
    """The blocks of an Avro file, which Iceberg's manifests are, inflated: texts lie in them as they are.

    https://avro.apache.org/docs/1.11.1/specification/#object-container-files
    """
    file = io.BytesIO(body)
    file.seek(4)
    while entries := _long(file):
        assert entries > 0, "a map that says its size in bytes, which nobody writes here"
        for _ in range(2 * entries):
            file.read(_long(file))
    file.read(16)
    while file.tell() < len(body):
        _long(file)
        yield zlib.decompress(file.read(_long(file)), wbits=-15)
        file.read(16)


def _long(file: io.BytesIO) -> int:
    """Seven bits a byte, the lowest first, the sign in the lowest bit of all."""
    value = shift = 0
    while True:
        byte = file.read(1)[0]
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1)

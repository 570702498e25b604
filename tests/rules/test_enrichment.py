"""The lake adds to an event and leaves the sender's bytes alone."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from eventlake.admission import Candidate, examine
from eventlake.enrichment import ADDED_FIELDS, split_event_name
from tests.builders import CODE_HASH, EIGHT_O_CLOCK_MS, EIGHT_O_CLOCK_SECONDS, a_uuid, an_arrival, an_event, as_sent


def line_of(sent: object, **arrival: Any) -> bytes:
    answer = examine(an_arrival(sent, **arrival), CODE_HASH)
    assert isinstance(answer, Candidate), answer
    return answer.line


def test_the_whole_enrichment_of_one_event() -> None:
    sent = b'{"event_uuid":"%b","event_name":"lesson:exercise:answered:twice","created_at":1795248000.10}' % (
        a_uuid().encode()
    )
    assert line_of(sent, arrived_at_ms=EIGHT_O_CLOCK_MS + 1_007) == sent[:-1] + (
        b',"created_datetime":"2026-11-21T08:00:00.100000Z","event_type":"lesson","event_subtype":"exercise"'
        b',"event_detail":"answered:twice","_lake":{"ingested_at":"2026-11-21T08:00:01.007Z"'
        b',"shard_id":"shardId-000000000000"'
        b',"sequence_number":"49590338271490256608559692538361571095921575989136588898"'
        b',"area":"raw","day":"2026-11-21","code_hash":"0123456789ab"}}'
    )


def test_an_event_name_of_two_parts_has_no_detail() -> None:
    assert split_event_name("payment:order") == ("payment", "order", None)
    assert json.loads(line_of(an_event()))["event_detail"] is None


def test_one_event_is_one_line_and_nothing_else_changes() -> None:
    sent = b'\r\n {"event_uuid":"%b",\r\n"event_name":"a:b","created_at"\n:1795248000\r}\n \n' % a_uuid().encode()
    line = line_of(sent)
    assert line.startswith(b'   {"event_uuid":"%b",  "event_name":"a:b","created_at" :1795248000 ,' % a_uuid().encode())
    assert b"\n" not in line
    assert b"\r" not in line


TRICKY_TEXTS = [
    b"12345678901234567890123456789012345678901234567890",
    b"1.10",
    b"1e400",
    b"-0.0",
    b'"\\u00e9\\ud83d\\ude00\\/"',
    '"é😀\u2028\u0085"'.encode(),
    b'{"z":1,"a":2,"z":3}',
    b"[ 1 ,\t2 ]",
]


@given(
    extras=st.lists(st.tuples(st.text("abc", min_size=1, max_size=3), st.sampled_from(TRICKY_TEXTS)), max_size=4),
    gap=st.sampled_from([b"", b" ", b"\t", b"\r\n", b"\n  "]),
    created_at=st.integers(EIGHT_O_CLOCK_SECONDS - 10**8, EIGHT_O_CLOCK_SECONDS),
)
@settings(max_examples=60)
def test_the_senders_bytes_are_a_prefix_and_mean_the_same(
    extras: list[tuple[str, bytes]], gap: bytes, created_at: int
) -> None:
    # given an event with fields as some sender's library writes them
    fields = [(name, json.dumps(value).encode()) for name, value in an_event(created_at=created_at).items()]
    fields += [(name, text) for name, text in extras]
    sent = b"{" + (b"," + gap).join(b'"%b":%b' % (name.encode(), text) for name, text in fields) + gap + b"}" + gap
    # when
    line = line_of(sent)
    # then the bytes are there, line breaks apart, and the document differs by the added fields only
    assert line.startswith(sent.replace(b"\r", b" ").replace(b"\n", b" ").rstrip()[:-1])
    enriched, original = (json.loads(text, parse_int=str, parse_float=str) for text in (line, sent))
    assert set(enriched) - set(original) == ADDED_FIELDS
    assert {name: enriched[name] for name in original} == original
    assert not {b"\r", b"\n"} & {line[i : i + 1] for i in range(len(line))}


def test_sent_bytes_without_line_breaks_are_a_prefix_to_the_last_brace() -> None:
    sent = as_sent(an_event(amount=1.1, big=2**200))
    assert line_of(sent).startswith(sent[:-1] + b',"created_datetime"')

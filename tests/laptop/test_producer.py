"""A careful producer: full batches, nothing lost when the stream refuses, copies of an event to one shard."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from eventlake.errors import TransientError
from laptop import producer
from laptop.event_file import distinct_lines
from laptop.producer import BATCH_BYTES, BATCH_RECORDS, partition_key, send

UUID = "0f6e2a10-aaaa-4bbb-8ccc-0123456789ab"


class Stream:
    """PutRecords as AWS documents it: some entries of a call fail, the others are taken."""

    def __init__(self, refuse_first: int = 0, always: Iterable[bytes] = ()) -> None:
        self.taken: list[bytes] = []
        self.calls: list[int] = []
        self._refusals_left = refuse_first
        self._always = set(always)

    def put_records(self, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803  boto3's names
        assert len(Records) <= BATCH_RECORDS
        assert sum(len(one["Data"]) + len(one["PartitionKey"]) for one in Records) <= BATCH_BYTES
        self.calls.append(len(Records))
        answers: list[dict[str, str]] = []
        for one in Records:
            if self._refusals_left or one["Data"] in self._always:
                self._refusals_left = max(0, self._refusals_left - 1)
                answers.append({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"})
            else:
                self.taken.append(one["Data"])
                answers.append({"ShardId": "shardId-000000000000", "SequenceNumber": str(len(self.taken))})
        return {"FailedRecordCount": sum("ErrorCode" in one for one in answers), "Records": answers}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer.time, "sleep", lambda _seconds: None)


def lines(count: int, length: int = 20) -> list[bytes]:
    return [b"%0*d" % (length, number) for number in range(count)]


def test_every_line_is_sent_once_in_full_batches() -> None:
    stream, sent = Stream(), lines(1_203)
    report = send(stream, "events", sent, lambda _: None)
    assert stream.taken == sent
    assert stream.calls == [500, 500, 203]
    assert (report.sent, report.sent_again) == (1_203, 0)
    assert report.last_sent == {"shardId-000000000000": "1203"}


def test_large_lines_make_smaller_calls() -> None:
    stream, sent = Stream(), lines(20, length=900_000)
    send(stream, "events", sent, lambda _: None)
    assert stream.taken == sent
    assert max(stream.calls) == 5


def test_refused_entries_are_sent_again_before_the_next_batch() -> None:
    stream, sent = Stream(refuse_first=700), lines(1_000)
    report = send(stream, "events", sent, lambda _: None)
    assert sorted(stream.taken) == sent
    assert sorted(stream.taken[:500]) == sent[:500]
    assert report.sent_again == 700


def test_a_stream_that_goes_on_refusing_is_an_error() -> None:
    sent = lines(3)
    with pytest.raises(TransientError, match=r"1 records refused 12 times.*slow down"):
        send(Stream(always=sent[1:2]), "events", sent, lambda _: None)


def test_a_line_larger_than_a_record_is_named_and_the_rest_is_sent() -> None:
    sent = [b"a", b"b" * 1_048_577, b"c"]
    stream = Stream()
    report = send(stream, "events", sent, lambda _: None)
    assert stream.taken == [b"a", b"c"]
    assert (report.sent, report.too_large_lines) == (2, (2,))


def test_copies_of_an_event_share_a_key_however_they_are_written() -> None:
    spellings = [
        f'{{"event_uuid":"{UUID}","a":1}}',
        f'{{"a": 1, "event_uuid" : "{UUID.upper()}"}}',
    ]
    assert {partition_key(text.encode()) for text in spellings} == {UUID}


def test_a_line_without_a_uuid_has_a_key_all_the_same() -> None:
    keys = {partition_key(line) for line in (b"not json", b"\xff\xfe", b"{}", b'{"event_uuid": 5}')}
    assert len(keys) == 4
    assert all(1 <= len(key) <= 256 for key in keys)


def test_distinct_lines_are_told_by_their_bytes() -> None:
    assert distinct_lines([b'{"event_uuid":"a"}', b'{"event_uuid":"a"}', b'{"event_uuid":"a","b":1}', b"x", b"x"]) == 3

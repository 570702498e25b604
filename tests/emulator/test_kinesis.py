"""A stream of records does what AWS documents of numbers, order and limits."""

from __future__ import annotations

from tests.emulator.behaviours import promised
from tests.emulator.running import Emulator

SERVICE = "Kinesis"


@promised("https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecord.html", closed_by="kinesis")
def test_sequence_numbers_are_56_digits_and_rise(emulator: Emulator, name: str) -> None:
    kinesis = emulator.client("kinesis")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    numbers = [kinesis.put_record(StreamName=name, Data=b"x", PartitionKey="one")["SequenceNumber"] for _ in range(5)]
    assert numbers == sorted(numbers, key=int)
    assert {(len(number), number[:2]) for number in numbers} == {(56, "49")}

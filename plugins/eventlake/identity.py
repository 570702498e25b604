"""Who a record is: the shard and the sequence number that Kinesis gave it. Nothing else identifies a record.

Source: https://docs.aws.amazon.com/streams/latest/dev/key-concepts.html#sequence-number
"""

from typing import NamedTuple

from eventlake.errors import TerminalError


class RecordIdentity(NamedTuple):
    """One record of the stream. `sequence_number` is an integer, because its text does not sort by age."""

    shard_id: str
    sequence_number: int

    def __str__(self) -> str:
        return f"{self.shard_id}:{self.sequence_number}"


def parse_record_identity(text: str) -> RecordIdentity:
    """`shardId-000000000000:4957…` as a RecordIdentity. Raises TerminalError on any other text."""
    shard_id, _, sequence_number = text.rpartition(":")
    if not shard_id or not sequence_number.isascii() or not sequence_number.isdigit():
        raise TerminalError(
            f"reading a record identity: received {text[:80]!r}; "
            "valid is <shard id>:<sequence number>; look at who wrote the owner or identity column"
        )
    return RecordIdentity(shard_id, int(sequence_number))

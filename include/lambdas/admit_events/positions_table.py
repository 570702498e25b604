"""Noting how far each shard has been read. Which position that is, eventlake/positions.py says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from eventlake.positions import Position


def note_positions(dynamodb: Any, table: str, positions: Iterable[Position], updated_at: str) -> None:
    """Move each shard's position forward. A range that is read once more (readmit) never moves it back."""
    for position in positions:
        try:
            dynamodb.put_item(
                TableName=table,
                Item={
                    "shard_id": {"S": position.shard_id},
                    "sequence_number": {"S": position.sequence_number},
                    "arrived_at": {"N": str(position.arrived_at_ms)},
                    "updated_at": {"S": updated_at},
                },
                ConditionExpression="attribute_not_exists(shard_id) OR arrived_at <= :arrived_at",
                ExpressionAttributeValues={":arrived_at": {"N": str(position.arrived_at_ms)}},
            )
        except dynamodb.exceptions.ConditionalCheckFailedException:
            continue

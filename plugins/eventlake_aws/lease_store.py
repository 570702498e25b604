"""Leases as DynamoDB items: one conditional write, so that two cannot both win. The rule is `eventlake.leases`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from eventlake.leases import LEASE_SECONDS, Lease, LeaseAnswer, ask
from eventlake.settings import Settings
from eventlake_aws.clients import Clients


def read_lease(clients: Clients, settings: Settings, name: str) -> Lease | None:
    item = clients.dynamodb.get_item(
        TableName=settings.leases_table, Key={"lease_name": {"S": name}}, ConsistentRead=True
    ).get("Item")
    return _lease(item) if item else None


def take_lease(clients: Clients, settings: Settings, name: str, owner: str, now: datetime) -> LeaseAnswer:
    """Takes or renews. What the reader saw is the condition of the write: lost races are refusals."""
    current = read_lease(clients, settings, name)
    now_epoch = int(now.timestamp())
    answer = ask(current, owner, now_epoch)
    if answer is LeaseAnswer.REFUSED:
        return answer
    conditions: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(lease_name)"}
    if current is not None:
        conditions = {
            "ConditionExpression": "#owner = :seen_owner AND expires_at = :seen_expiry",
            "ExpressionAttributeNames": {"#owner": "owner"},
            "ExpressionAttributeValues": {
                ":seen_owner": {"S": current.owner},
                ":seen_expiry": {"N": str(current.expires_at_epoch)},
            },
        }
    try:
        clients.dynamodb.put_item(
            TableName=settings.leases_table,
            Item={
                "lease_name": {"S": name},
                "owner": {"S": owner},
                "expires_at": {"N": str(now_epoch + LEASE_SECONDS)},
            },
            **conditions,
        )
    except clients.dynamodb.exceptions.ConditionalCheckFailedException:
        return LeaseAnswer.REFUSED
    return answer


def take_leases(
    clients: Clients, settings: Settings, names: Iterable[str], owner: str, now: datetime
) -> dict[str, LeaseAnswer]:
    return {name: take_lease(clients, settings, name, owner, now) for name in names}


def take_what_is_free(
    clients: Clients, settings: Settings, names: Iterable[str], owner: str, now: datetime
) -> list[str]:
    """Takes those that it can; answers which are in other hands."""
    answers = take_leases(clients, settings, names, owner, now)
    return [name for name, answer in answers.items() if answer is LeaseAnswer.REFUSED]


def take_all_or_none(
    clients: Clients, settings: Settings, names: Iterable[str], owner: str, now: datetime
) -> list[str]:
    """Takes all of them; or gives back what it took and answers which are in other hands.

    Everybody asks in the same order and stops at the first refusal, so of many who want the same at once one gets it:
    whoever has the last lease that anybody got waits for nobody.
    """
    wanted = sorted(set(names))
    taken: list[str] = []
    for name in wanted:
        if take_lease(clients, settings, name, owner, now) is LeaseAnswer.REFUSED:
            break
        taken.append(name)
    else:
        return []
    refused, *rest = wanted[len(taken) :]
    for name in taken:
        release_lease(clients, settings, name, owner)
    now_epoch = int(now.timestamp())
    leases = {name: read_lease(clients, settings, name) for name in rest}
    return [refused, *(name for name, lease in leases.items() if ask(lease, owner, now_epoch) is LeaseAnswer.REFUSED)]


def release_lease(clients: Clients, settings: Settings, name: str, owner: str) -> bool:
    """True when it was the owner's to give back."""
    try:
        clients.dynamodb.delete_item(
            TableName=settings.leases_table,
            Key={"lease_name": {"S": name}},
            ConditionExpression="#owner = :owner",
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues={":owner": {"S": owner}},
        )
    except clients.dynamodb.exceptions.ConditionalCheckFailedException:
        return False
    return True


def _lease(item: dict[str, Any]) -> Lease:
    return Lease(item["lease_name"]["S"], item["owner"]["S"], int(item["expires_at"]["N"]))

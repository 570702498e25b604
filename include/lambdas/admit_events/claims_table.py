"""The claims table in DynamoDB: tries to write claims and reads who holds them. Judging is eventlake/claims.py's.

PartiQL batch INSERT, because a batch of 25 conditional writes is one request; it has no order among its statements and
does not return the item that stood in the way, so losers are read, strongly consistent, by BatchGetItem.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from retries import attempts

from eventlake.claims import Claim, ClaimContest, Wish
from eventlake.errors import TransientError

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
STATEMENTS_A_CALL = 25
KEYS_A_CALL = 100
CALLS_AT_ONCE = 4
MOST_ROUNDS = 50

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# A statement's error code that is not about the claim but about the moment.
_PASSING_ERRORS = frozenset(
    {"ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded", "InternalServerError",
     "TransactionConflict"}
)  # fmt: skip


class ClaimsTable:
    """Claims of one table. `dynamodb` is a boto3 client; it may be used by several threads."""

    def __init__(self, dynamodb: Any, table: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._sleep = sleep
        self._insert = (
            f"INSERT INTO \"{table}\" VALUE {{'event_uuid': ?, 'owner': ?, 'fingerprint': ?, "
            "'arrived_at': ?, 'expires_at': ?}"
        )

    def settle(self, contest: ClaimContest) -> None:
        """Write and read until every claim of the contest is settled. Raises TransientError if that has no end."""
        for _ in range(MOST_ROUNDS):
            wishes = contest.wishes()
            if not wishes:
                return
            contest.learn(self._fulfil(wishes))
        raise TransientError(
            f"claiming event_uuids in {self._table}: {len(contest.wishes())} still open after {MOST_ROUNDS} rounds; "
            "valid is a winner per uuid; the batch is retried, look for another writer of the table"
        )

    def _fulfil(self, wishes: Sequence[Wish]) -> dict[str, Claim]:
        inserts = [wish.claim for wish in wishes if wish.instead_of is None]
        take_overs = [wish for wish in wishes if wish.instead_of is not None]
        won = [claim for claims in _at_once(self._insert_claims, inserts, STATEMENTS_A_CALL) for claim in claims]
        won += [wish.claim for wish in take_overs if self._take_over(wish)]
        standing = {claim.event_uuid: claim for claim in won}
        lost = [wish.claim.event_uuid for wish in wishes if wish.claim.event_uuid not in standing]
        for holders in _at_once(self._read_claims, lost, KEYS_A_CALL):
            standing |= holders
        return standing

    def _insert_claims(self, claims: Sequence[Claim]) -> list[Claim]:
        """The claims that are in the table now because we wrote them. Those that somebody holds are left out."""
        won: list[Claim] = []
        pending = list(claims)
        for _ in attempts(f"writing claims into {self._table}", self._sleep):
            statements = [{"Statement": self._insert, "Parameters": list(_item(c).values())} for c in pending]
            responses = self._dynamodb.batch_execute_statement(Statements=statements)["Responses"]
            codes = [response.get("Error", {}).get("Code") for response in responses]
            for code in codes:
                if code not in _PASSING_ERRORS and code not in (None, "DuplicateItem"):
                    raise TransientError(
                        f"writing claims into {self._table}: DynamoDB answered {code}; valid is success or "
                        "DuplicateItem; the batch is retried, look at the function's role and the table"
                    )
            won += [claim for claim, code in zip(pending, codes, strict=True) if code is None]
            pending = [claim for claim, code in zip(pending, codes, strict=True) if code in _PASSING_ERRORS]
            if not pending:
                break
        return won

    def _take_over(self, wish: Wish) -> bool:
        """Replace an expired claim if it is still the one that we judged."""
        expired = wish.instead_of
        assert expired is not None
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=_item(wish.claim),
                ConditionExpression="#owner = :owner AND expires_at = :expires_at",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues={
                    ":owner": {"S": expired.owner},
                    ":expires_at": {"N": str(expired.expires_at_seconds)},
                },
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _read_claims(self, event_uuids: Sequence[str]) -> dict[str, Claim]:
        """The claims that stand. A uuid whose claim has gone meanwhile is left out."""
        found: dict[str, Claim] = {}
        keys: list[dict[str, Any]] = [{"event_uuid": {"S": event_uuid}} for event_uuid in event_uuids]
        for _ in attempts(f"reading claims from {self._table}", self._sleep):
            answer = self._dynamodb.batch_get_item(RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}})
            claims = [_claim(item) for item in answer["Responses"].get(self._table, [])]
            found |= {claim.event_uuid: claim for claim in claims}
            keys = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            if not keys:
                break
        return found


def _item(claim: Claim) -> dict[str, dict[str, str]]:
    """In the order of the INSERT statement's parameters."""
    return {
        "event_uuid": {"S": claim.event_uuid},
        "owner": {"S": claim.owner},
        "fingerprint": {"S": claim.fingerprint},
        "arrived_at": {"N": str(claim.arrived_at_ms)},
        "expires_at": {"N": str(claim.expires_at_seconds)},
    }


def _claim(item: dict[str, dict[str, str]]) -> Claim:
    return Claim(
        event_uuid=item["event_uuid"]["S"],
        owner=item["owner"]["S"],
        fingerprint=item["fingerprint"]["S"],
        arrived_at_ms=int(item["arrived_at"]["N"]),
        expires_at_seconds=int(item["expires_at"]["N"]),
    )


def _at_once(
    work: Callable[[Sequence[_Item]], _Result], items: Sequence[_Item], items_a_call: int
) -> Iterable[_Result]:
    """The results of `work` on slices of the items, a few slices at a time."""
    slices = [items[start : start + items_a_call] for start in range(0, len(items), items_a_call)]
    if len(slices) < 2:
        return [work(part) for part in slices]
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        return list(pool.map(work, slices))

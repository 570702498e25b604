"""A service that answers nothing but 503 for as long as a test asks for it: the faults `outage_firehose` and its like.

Belongs in here: refusing whole services at the door. Does not belong here: single records or calls that fail (they are
faults of their service's own module).
https://docs.aws.amazon.com/general/latest/gr/api-retries.html: a caller has to live with 5xx answers
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from emulator.faults import fault

# how a service's requests begin to say what they want
_SERVICES = {b"Firehose_": "firehose", b"DynamoDB_": "dynamodb", b"Kinesis_": "kinesis"}
_ANSWER = json.dumps({"__type": "ServiceUnavailable", "message": "an outage that a test asked for"}).encode()

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]


def with_outages(app: App) -> App:
    """The server, refusing those who ask a service that is out."""

    async def serve(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        service = _service(scope)
        if service is None or not fault(f"outage_{service}"):
            await app(scope, receive, send)
            return
        while (await receive()).get("more_body"):
            pass
        headers = [(b"content-type", b"application/x-amz-json-1.1"), (b"content-length", str(len(_ANSWER)).encode())]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": _ANSWER})

    return serve


def _service(scope: dict[str, Any]) -> str | None:
    if scope["type"] == "http":
        for name, value in scope["headers"]:
            if name == b"x-amz-target":
                return next((service for begin, service in _SERVICES.items() if value.startswith(begin)), None)
    return None

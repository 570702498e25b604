"""A service that answers nothing but 503 for as long as a test asks for it: the faults `outage_firehose` and its like.

Belongs in here: refusing whole services at the door. Does not belong here: single records or calls that fail (they are
faults of their service's own module).
https://docs.aws.amazon.com/general/latest/gr/api-retries.html: a caller has to live with 5xx answers
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from emulator.faults import fault

# the scope of a signature ends so: …/<region>/<service>/aws4_request
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
_SIGNED_FOR = re.compile(rb"/([a-z0-9-]+)/aws4_request")
_WORDS = "an outage that a test asked for"
_JSON = json.dumps({"__type": "ServiceUnavailable", "message": _WORDS}).encode()
_XML = (
    f"<ErrorResponse><Error><Code>ServiceUnavailable</Code><Message>{_WORDS}</Message></Error></ErrorResponse>".encode()
)

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
        speaks_json = any(name == b"x-amz-target" for name, _ in scope["headers"])
        kind, body = (b"application/x-amz-json-1.1", _JSON) if speaks_json else (b"text/xml", _XML)
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return serve


def _service(scope: dict[str, Any]) -> str | None:
    if scope["type"] == "http":
        for name, value in scope["headers"]:
            if name == b"authorization" and (signed := _SIGNED_FOR.search(value)):
                return signed[1].decode()
    return None

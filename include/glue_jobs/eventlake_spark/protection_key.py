"""The key under which personal values are hashed, from Secrets Manager to the job.

Does not belong here: what is done with it (eventlake.protection says it, LineReader does it).
"""

from __future__ import annotations

from collections.abc import Callable

from eventlake.errors import TerminalError

# name of a secret -> its text
ReadSecret = Callable[[str], str]


def secret_of_lake(name: str) -> str:
    """The text of a secret, as Secrets Manager has it now."""
    import boto3

    client = boto3.client("secretsmanager")
    try:
        text: str = client.get_secret_value(SecretId=name)["SecretString"]
    except client.exceptions.ResourceNotFoundException:
        raise TerminalError(
            f"reading the key of protected fields: there is no secret {name}; valid is the one that the template "
            "makes; deploy the lake again; a key that is new means to rebuild all that is hashed"
        ) from None
    return text


def read_key(name: str, read_secret: ReadSecret) -> bytes:
    """The key that the secret of this name holds. Raises TerminalError where there is none."""
    if not name:
        raise TerminalError(
            "reading the key of protected fields: received no --protection_secret, and contracts that protect fields; "
            "valid is the name of the lake's secret; deploy the lake again, so that the job gets it"
        )
    key = read_secret(name).encode()
    if not key:
        raise TerminalError(
            f"reading the key of protected fields: received the secret {name} without a text; valid is one of the "
            "template's making; put the text back that it had, or rebuild all that is hashed"
        )
    return key

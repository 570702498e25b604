"""Objects of S3 as the jobs' drivers read and write them, and how Spark's readers have to be told of one.

What does not belong here: what the objects mean; tables (Iceberg reads and writes those by itself).
"""

from __future__ import annotations

from typing import IO, Any, Protocol

from eventlake.errors import TerminalError


class ObjectStore(Protocol):
    """Where plans, definitions and raw objects are read and receipts are written."""

    def read(self, uri: str) -> bytes: ...

    def create(self, uri: str, body: bytes | IO[bytes]) -> None:
        """Writes an object that was not there before; raises TerminalError where it was."""

    def spark_path(self, uri: str) -> str:
        """The object as Spark's file readers name it."""


class S3ObjectStore:
    """The store on AWS. Endpoint, region and credentials come from the environment, as boto3 reads it."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def read(self, uri: str) -> bytes:
        bucket, key = split_uri(uri)
        try:
            body: bytes = self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except self._client.exceptions.NoSuchKey:
            raise TerminalError(
                f"reading {uri}: there is no such object; valid is what an earlier task wrote and nobody took back; "
                "clear the task of the run that plans, so that it plans anew"
            ) from None
        return body

    def create(self, uri: str, body: bytes | IO[bytes]) -> None:
        bucket, key = split_uri(uri)
        try:
            self._client.put_object(Bucket=bucket, Key=key, Body=body, IfNoneMatch="*")
        except self._client.exceptions.ClientError as error:
            if error.response.get("Error", {}).get("Code") != "PreconditionFailed":
                raise
            raise already_there(uri) from error

    def spark_path(self, uri: str) -> str:
        return "s3a://" + uri.removeprefix("s3://")


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key:
        raise TerminalError(
            f"reading an address: received {uri!r}; valid is s3://bucket/key; look at the arguments of the job"
        )
    return bucket, key


def already_there(uri: str) -> TerminalError:
    """What a store raises rather than write over an object."""
    return TerminalError(
        f"writing {uri}: received an object that is there already; valid is one write for each run of a job; "
        "start a new run instead of the same one again"
    )


def s3_object_store() -> S3ObjectStore:
    import boto3

    return S3ObjectStore(boto3.client("s3"))

"""The AWS clients of one lake, made when first used. Endpoint, region and credentials: boto3 finds them by itself."""

from __future__ import annotations

from functools import cached_property
from threading import Lock
from typing import Any

import boto3
from botocore.config import Config

from eventlake.settings import Settings

# as many as the census threads of one call ever ask for at once
_CONNECTIONS = 32


class Clients:
    """Lazy, so that a task which only reads a plan opens one connection. Threads may share one."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._session = boto3.session.Session()
        self._making = Lock()
        self._config = Config(
            region_name=settings.region,
            max_pool_connections=_CONNECTIONS,
            retries={"mode": "standard", "max_attempts": 6},
            connect_timeout=10,
            read_timeout=60,
        )

    @staticmethod
    def from_settings(settings: Settings) -> Clients:
        return Clients(settings)

    @cached_property
    def s3(self) -> Any:
        return self._client("s3")

    @cached_property
    def dynamodb(self) -> Any:
        return self._client("dynamodb")

    @cached_property
    def kinesis(self) -> Any:
        return self._client("kinesis")

    @cached_property
    def glue(self) -> Any:
        return self._client("glue")

    @cached_property
    def sns(self) -> Any:
        return self._client("sns")

    @cached_property
    def cloudwatch(self) -> Any:
        return self._client("cloudwatch")

    def _client(self, service: str) -> Any:
        # boto3: clients may be shared by threads, sessions may not
        with self._making:
            return self._session.client(service, config=self._config)

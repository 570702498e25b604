"""What every lake outside AWS has in common, however its programs run: how it is reached, and what it sets otherwise.

What does not belong here: starting anything, and Airflow's own settings (airflow_environment).
"""

from __future__ import annotations

import os
from pathlib import Path

from airflow_environment import ADMIN_USER
from eventlake.settings import DATA_DOCS_PREFIX, Settings

# at a desk, deliveries do not wait for a minute's worth of events
DELIVERY_BUFFER_SECONDS = 5


def runbook_base_url(settings: Settings, checkout: Path) -> str:
    """Where links of alerts lead: as the setting says, otherwise to the files at hand."""
    return settings.runbook_base_url or f"{checkout.as_uri()}/"


def data_docs_url(settings: Settings, endpoint_url: str) -> str:
    """Where the site of Data Docs opens: as the setting says, otherwise straight from the bucket, as S3 serves it."""
    return settings.data_docs_base_url or f"{endpoint_url}/{settings.lake_bucket}/{DATA_DOCS_PREFIX}"


def aws_environment(endpoint_url: str, settings: Settings) -> dict[str, str]:
    """How a program reaches the lake's AWS, and nothing else."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def person_environment(settings: Settings, endpoint_url: str, airflow_url: str, admin_password: str) -> dict[str, str]:
    """`.lake/env`: what a person's shell, boto3, the aws command, PyIceberg and a browser need."""
    return {
        **aws_environment(endpoint_url, settings),
        "LAKE_PREFIX": settings.prefix,
        "LAKE_ACCOUNT_ID": settings.account_id,
        "LAKE_STREAM": settings.stream,
        "LAKE_RAW_BUCKET": settings.raw_bucket,
        "LAKE_BUCKET": settings.lake_bucket,
        "LAKE_DATA_DOCS_URL": data_docs_url(settings, endpoint_url),
        "LAKE_AIRFLOW_URL": airflow_url,
        "LAKE_AIRFLOW_USER": ADMIN_USER,
        "LAKE_AIRFLOW_PASSWORD": admin_password,
    }

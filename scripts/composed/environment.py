"""What a process of the composed lake finds in its environment: the laptop's own, with the containers' addresses.

What does not belong here: AIRFLOW__* settings (airflow_environment), which are the same however a lake is run.
"""

from __future__ import annotations

from collections.abc import Mapping

import local_lake
from airflow_environment import LOOPBACK, Addresses, airflow_environment
from composed import places, secret_files
from eventlake.settings import Settings

# given by docker-compose.yaml, as published on the host
UI_PORT = "LAKE_UI_PORT"
AWS_PORT = "LAKE_AWS_PORT"
# the image's own way to our modules, which Airflow's processes must not have: MWAA gives them none either
OUR_PATH = "PYTHONPATH"


def ui_url(given: Mapping[str, str]) -> str:
    return Addresses.on_loopback(int(given[UI_PORT])).ui_url


def aws_url(given: Mapping[str, str]) -> str:
    """As the host reaches it."""
    return f"http://{LOOPBACK}:{int(given[AWS_PORT])}"


def of_airflow(given: Mapping[str, str]) -> dict[str, str]:
    """For the four processes and `airflow db migrate`: the container's environment and what it leaves out."""
    settings = Settings.from_env(given)
    database = f"{places.DATABASE_NAME}:{secret_files.database_password()}@{places.DATABASE_HOST}"
    return {
        **{name: value for name, value in given.items() if name != OUR_PATH},
        **of_aws(settings),
        **airflow_environment(
            places.AIRFLOW_HOME,
            places.CHECKOUT / "dags",
            places.CHECKOUT / "plugins",
            f"postgresql+psycopg2://{database}:{places.DATABASE_PORT}/{places.DATABASE_NAME}",
            places.addresses(ui_url(given)),
            secret_files.airflow_secrets(),
        ),
        "LAKE_PREFIX": settings.prefix,
        "LAKE_ACCOUNT_ID": settings.account_id,
        "LAKE_DATA_DOCS_BASE_URL": local_lake.data_docs_url(settings, aws_url(given)),
    }


def of_aws(settings: Settings) -> dict[str, str]:
    return local_lake.aws_environment(places.EMULATOR_URL, settings)


def of_person(given: Mapping[str, str]) -> dict[str, str]:
    """What somebody at the host's keyboard needs."""
    password = secret_files.airflow_secrets().admin_password
    return local_lake.person_environment(Settings.from_env(given), aws_url(given), ui_url(given), password)

"""What can be held of docker-compose.yaml and its images without docker; `tests/compose` runs them for real."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_environment import (
    AIRFLOW_PROCESSES,
    LOOPBACK,
    Addresses,
    AirflowSecrets,
    airflow_environment,
    passwords_file,
)
from composed import environment, is_healthy, places, secret_files
from emulator import patches
from eventlake.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yaml").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PAGE = (ROOT / "docs" / "compose.md").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
# compose's service -> the laptop's name of the same process
AIRFLOW = {
    "api-server": "airflow-api",
    **{name: f"airflow-{name}" for name in ("scheduler", "dag-processor", "triggerer")},
}
GIVEN = {"LAKE_UI_PORT": "8081", "LAKE_AWS_PORT": "4567"}
# what a lake outside AWS decides by itself: the emulator's account, and how quickly waiting is told
NOT_A_PERSONS_CHOICE = {"LAKE_ACCOUNT_ID", "LAKE_WAITER_DELAY_SECONDS"}


def stages() -> dict[str, list[str]]:
    """The Dockerfile's stages, name -> lines."""
    found: dict[str, list[str]] = {}
    for line in DOCKERFILE.splitlines():
        begins = re.match(r"FROM \S+ AS (\S+)$", line)
        if begins:
            found[begins[1]] = []
        elif found:
            found[next(reversed(found))].append(line)
    return found


def image_tags() -> Iterator[tuple[str, str]]:
    """(image, tag) of everything that is run or built on, as the defaults have it."""
    for service in SERVICES.values():
        name, _, tag = re.sub(r"\$\{\w+:-(.+)\}", r"\1", service["image"]).rpartition(":")
        yield name, tag
    for base in re.findall(r"^ARG \w+=(\S+)$", DOCKERFILE, re.MULTILINE):
        name, _, tag = base.rpartition(":")
        yield name, tag


def pinned(requirements: str, package: str) -> str:
    text = (ROOT / "requirements" / f"{requirements}.txt").read_text()
    return re.findall(rf"^{package}(?:\[[^]]*\])?==(\S+)", text, re.MULTILINE)[0]


def settings_of_the_code() -> set[str]:
    sources = ("plugins/eventlake/settings.py", "plugins/eventlake_airflow/schedules.py")
    return {name for source in sources for name in re.findall(r'"(LAKE_[A-Z_]+)"', (ROOT / source).read_text())}


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AirflowSecrets:
    secret_files.make(tmp_path)
    kept = secret_files.airflow_secrets(tmp_path)
    password = secret_files.database_password(tmp_path)
    monkeypatch.setattr(secret_files, "airflow_secrets", lambda: kept)
    monkeypatch.setattr(secret_files, "database_password", lambda: password)
    return kept


def test_only_the_hosts_loopback_reaches_a_service() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert [port for port in published if not port.startswith(f"{LOOPBACK}:")] == []
    assert [
        service for service in SERVICES.values() if "network_mode" in service and service["network_mode"] != "none"
    ] == []


def test_every_service_is_watched_or_is_a_step_that_others_wait_for() -> None:
    waited_for = {
        name
        for service in SERVICES.values()
        for name, condition in service.get("depends_on", {}).items()
        if condition == {"condition": "service_completed_successfully"}
    }
    steps = {name for name, service in SERVICES.items() if "healthcheck" not in service}
    assert steps == waited_for == {"secrets", "init"}
    assert all(SERVICES[name]["restart"] == "no" for name in steps)


def test_nothing_runs_as_root_or_may_become_it() -> None:
    for name, service in SERVICES.items():
        target = "emulator" if "-emulator:" in service["image"] else "airflow"
        users = [line.split()[1] for line in stages()[target] if line.startswith("USER ")]
        user = service.get("user", users[-1] if users and "COMPOSE_PROJECT_NAME" in service["image"] else "root")
        assert user in ("lake", "postgres"), f"{name} runs as {user}"
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_no_secret_is_written_down() -> None:
    secret = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY|FERNET|JWT", re.IGNORECASE)
    for name, service in SERVICES.items():
        named = {one for one in service.get("environment", {}) if secret.search(one)}
        assert named <= {"POSTGRES_PASSWORD_FILE"}, f"{name} is given {named}"
    given_by_images = set(re.findall(r"\b([A-Z][A-Z0-9_]+)=", DOCKERFILE))
    assert "STATE_DIR" in given_by_images
    assert not [one for one in given_by_images if secret.search(one)]
    assert "://" not in re.sub(r"http://127\.0\.0\.1:\d+|file://\$\{PWD\}/", "", TEXT + DOCKERFILE)


def test_no_context_of_a_build_holds_an_environment_or_a_lake() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    copied = {source.split("/")[0] for source in re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE, re.MULTILINE)}
    assert allowed == copied


def test_images_install_what_the_laptop_installs_but_for_its_own_commands() -> None:
    (laptop,) = re.findall(r"^LAKE = --with (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    last = {
        name: set(found[-1].split(","))
        for name, lines in stages().items()
        if (found := re.findall(r"bootstrap\.py --with (\S+)", "\n".join(lines)))
    }
    assert last == {"workers-environment": {"workers"}, "emulator-environment": {"emulator", "jobs", "jars"}}
    assert set().union(*last.values()) == set(laptop.split(",")) - {"laptop"}
    # the archive of Spark's classes is made by the emulator, with both environments at hand
    assert "COPY emulator emulator" in stages()["emulator-environment"]


def test_images_have_the_versions_of_the_lock_files_and_the_page() -> None:
    tags = dict(image_tags())
    assert "" not in tags
    assert "latest" not in tags.values()
    assert tags["${COMPOSE_PROJECT_NAME}-airflow"] == pinned("workers", "apache-airflow")
    assert tags["${COMPOSE_PROJECT_NAME}-emulator"] == pinned("emulator", "ministack") == patches.PINNED_VERSION
    for base in ("postgres", "python"):
        assert f"{base}:{tags[base]}" in PAGE
    assert tags["python"].startswith("3.11-"), "the lock files and Glue 5.1 are of this version"


def test_every_setting_of_the_code_can_be_given_and_no_other() -> None:
    given = {name for service in SERVICES.values() for name in service.get("environment", {}) if "POSTGRES" not in name}
    assert given - {environment.UI_PORT, environment.AWS_PORT} == settings_of_the_code() - NOT_A_PERSONS_CHOICE
    without_default = {name: value for name, value in SERVICES["scheduler"]["environment"].items() if value is None}
    # where the checkout lies on the host, no code in a container can know
    known_here = {environment.UI_PORT, environment.AWS_PORT, "LAKE_RUNBOOK_BASE_URL"}
    assert set(without_default) == given - known_here, "a default stands in the code"


def test_airflow_runs_the_laptops_processes() -> None:
    commands = {AIRFLOW[name]: tuple(SERVICES[name]["command"]) for name in AIRFLOW}
    assert commands == AIRFLOW_PROCESSES


def test_airflows_environment_is_the_laptops_but_for_where_things_are(secrets: AirflowSecrets) -> None:
    composed = environment.of_airflow(GIVEN)
    laptop = airflow_environment(
        places.AIRFLOW_HOME,
        places.CHECKOUT / "dags",
        places.CHECKOUT / "plugins",
        "a socket of the laptop",
        Addresses.on_loopback(8081),
        secrets,
    )
    differ = {name for name, value in laptop.items() if composed[name] != value}
    assert differ == {
        "AIRFLOW__API__HOST",
        "AIRFLOW__API__PORT",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
        "NO_PROXY",
        "no_proxy",
    }
    assert composed["LAKE_AIRFLOW_URL"] == "http://127.0.0.1:8081"
    assert environment.OUR_PATH not in environment.of_airflow({**GIVEN, environment.OUR_PATH: "/ours"})
    assert environment.of_person(GIVEN)["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4567"


def test_places_are_where_the_file_mounts_and_names_them() -> None:
    def mounts(service: str) -> Mapping[str, str]:
        return {target: name for name, target, *_ in (mount.split(":") for mount in SERVICES[service]["volumes"])}

    assert {places.API_HOST, places.EMULATOR_HOST, places.DATABASE_HOST} <= set(SERVICES)
    for service in (*AIRFLOW, "init"):
        assert mounts(service)[str(places.SECRETS)] == "secrets"
        assert mounts(service)[f"{places.AIRFLOW_HOME}/logs"] == "logs"
    password = SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD_FILE"]
    assert password == str(places.SECRETS / secret_files.DATABASE_PASSWORD_FILE)
    assert mounts("postgres")[str(places.SECRETS)] == "secrets"
    emulator = mounts("emulator")
    (state_folder,) = (target for target, name in emulator.items() if name == "emulator")
    for name in ("STATE_DIR", "S3_DATA_DIR"):
        (folder,) = re.findall(rf"{name}=(\S+)", DOCKERFILE)
        assert folder.startswith(f"{state_folder}/"), "what lies elsewhere ends with the container"
    assert str(places.SECRETS) not in emulator, "functions and jobs have no business with Airflow's secrets"
    assert is_healthy.URL.startswith(f"{places.addresses('').api_url}/")
    assert SERVICES["api-server"]["ports"][0].endswith(f":{places.API_PORT}")
    assert places.EMULATOR_URL.endswith(SERVICES["emulator"]["ports"][0].rpartition(":")[2])


def test_only_the_step_that_makes_secrets_may_write_them() -> None:
    writable = [name for name, service in SERVICES.items() if f"secrets:{places.SECRETS}" in service.get("volumes", [])]
    assert writable == ["secrets"]


def test_every_part_that_is_asked_for_its_health_is_one_of_airflows() -> None:
    asked = {name: SERVICES[name]["healthcheck"]["test"][-1] for name in AIRFLOW}
    assert sorted(asked.values()) == sorted(is_healthy.PARTS)
    assert asked["dag-processor"] == "dag_processor"


def test_the_databases_user_reads_its_password_and_nothing_else(tmp_path: Path) -> None:
    secret_files.make(tmp_path)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"airflow.json": 0o600, "database-password": 0o640}
    (group,) = SERVICES["postgres"]["group_add"]
    assert f"groupadd --gid {group} lake" in DOCKERFILE


def test_secrets_are_made_once(tmp_path: Path) -> None:
    secret_files.make(tmp_path)
    first = {path.name: path.read_text() for path in tmp_path.iterdir()}
    secret_files.make(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == first
    values = [*json.loads(first["airflow.json"]).values(), first["database-password"]]
    assert len(set(values)) == len(values)
    assert min(map(len, values)) >= 16


def test_the_api_server_finds_its_passwords_where_airflow_looks(secrets: AirflowSecrets) -> None:
    looked_up = environment.of_airflow(GIVEN)["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"]
    assert looked_up == str(passwords_file(places.AIRFLOW_HOME))


def test_settings_reach_the_lake() -> None:
    assert environment.of_aws(Settings())["AWS_ENDPOINT_URL"] == places.EMULATOR_URL

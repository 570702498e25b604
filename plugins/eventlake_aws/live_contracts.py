"""Contracts against the lake that runs: what their next deploy would change in its tables, and what it would break.

Belongs here: reading the live tables' columns, the deployed contracts, and what has landed. Does not belong here: the
rules by which they are compared (table_evolution, contract_changes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.types import (
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    StringType,
    StructType,
    TimestamptzType,
)

from eventlake.contract import Contract, ContractIndex, parse_contract
from eventlake.contract_changes import ContractChange, Landed, contract_changes
from eventlake.errors import LakeError
from eventlake.load_plan import table_of_type
from eventlake.settings import Settings
from eventlake.table_evolution import VALID_CHANGES, compare_columns
from eventlake.table_schema import table_columns
from eventlake_aws.bucket_listing import list_objects
from eventlake_aws.clients import Clients
from eventlake_aws.definitions_store import current_definitions
from eventlake_aws.iceberg_catalog import open_catalog
from eventlake_aws.row_filters import equals

# as Spark's SQL writes them, which is how contracts name columns
_SQL_TYPES: Mapping[type[IcebergType], str] = {
    BooleanType: "boolean",
    IntegerType: "int",
    LongType: "bigint",
    FloatType: "float",
    DoubleType: "double",
    DateType: "date",
    TimestamptzType: "timestamp",
    StringType: "string",
}


@dataclass
class LiveFindings:
    """`refusals` is what a load would refuse, or what would leave rows without a contract."""

    tables: int = 0
    notes: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)


def compare_with_lake(clients: Clients, settings: Settings, contracts: ContractIndex) -> LiveFindings:
    """What the lake that `settings` name would make of these contracts. Raises TerminalError where none is deployed."""
    findings = LiveFindings()
    deployed = current_definitions(clients, settings).contracts
    catalog = open_catalog(settings)
    for event_type in contracts.event_types:
        _compare_table(catalog, event_type, contracts, findings)
    for change in contract_changes(_parsed(deployed, findings), contracts):
        is_refused = _has_landed(clients, settings, catalog, change)
        (findings.refusals if is_refused else findings.notes).append(str(change))
    return findings


def _parsed(schemas: Mapping[str, Mapping[str, Any]], findings: LiveFindings) -> ContractIndex:
    parsed: list[Contract] = []
    for name, schema in schemas.items():
        try:
            parsed.append(parse_contract(name, schema))
        except LakeError as error:
            # deployed before the dialect knew better: the next deploy puts it right, or is refused itself
            findings.notes.append(f"not compared with what is deployed: {error}")
    return ContractIndex(parsed)


def _compare_table(catalog: GlueCatalog, event_type: str, contracts: ContractIndex, findings: LiveFindings) -> None:
    table = table_of_type(event_type)
    existing = live_columns(catalog, table)
    if existing is None:
        return
    findings.tables += 1
    try:
        wanted = table_columns(contracts.of_type(event_type))
    except LakeError as error:
        findings.refusals.append(str(error))
        return
    evolution = compare_columns(existing, wanted)
    findings.notes += [f"table {table}: the next load {change}" for change in evolution.changes]
    findings.refusals += [
        f"table {table}: a load would refuse that {refusal}; {VALID_CHANGES}" for refusal in evolution.refusals
    ]


def live_columns(catalog: GlueCatalog, table: str) -> dict[str, str] | None:
    """Column names and SQL types of a table as it is now; None where there is none yet."""
    try:
        schema = catalog.load_table(table).schema()
    except NoSuchTableError:
        return None
    return {column.name: sql_type(column.field_type) for column in schema.fields}


def sql_type(iceberg_type: IcebergType) -> str:
    if isinstance(iceberg_type, StructType):
        return f"struct<{','.join(f'{each.name}:{sql_type(each.field_type)}' for each in iceberg_type.fields)}>"
    if isinstance(iceberg_type, ListType):
        return f"array<{sql_type(iceberg_type.element_type)}>"
    if isinstance(iceberg_type, DecimalType):
        return f"decimal({iceberg_type.precision},{iceberg_type.scale})"
    # a type that no contract can ask for is told by Iceberg's own word
    return _SQL_TYPES.get(type(iceberg_type), str(iceberg_type))


def _has_landed(clients: Clients, settings: Settings, catalog: GlueCatalog, change: ContractChange) -> bool:
    """Whether the lake holds what a change is refused for."""
    if change.refused_if_landed is None:
        return False
    kind, value = change.refused_if_landed
    event_type, _, event_subtype = change.contract.partition("/")
    if kind is Landed.SUBTYPE:
        folders = (f"{area}/event_type={event_type}/event_subtype={event_subtype}/" for area in ("raw", "late"))
        return any(next(list_objects(clients.s3, settings.raw_bucket, folder), None) for folder in folders)
    try:
        table = catalog.load_table(table_of_type(event_type))
    except NoSuchTableError:
        return False
    one = table.scan(row_filter=equals(kind.value, value), selected_fields=(kind.value,), limit=1)
    return bool(one.to_arrow().num_rows > 0)

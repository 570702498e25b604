"""Iceberg tables as the jobs need them: there, of the contract's columns, with a branch to stage on.

Belongs here: Iceberg's Java interface, reached through Spark's catalog; it needs no Spark job for what is only
metadata. Does not belong here: rows; moving `main` (the worker publishes). Java's classes are known by the names that
the session imports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from eventlake.contract_terms import EACH_ITEM
from eventlake.errors import TransientError
from eventlake.settings import SPARK_CATALOG
from eventlake.table_evolution import AddColumn, changed_comments, plan_evolution
from eventlake.table_schema import Column

PARTITION = "event_date"
SORT_BY = ("event_subtype", "event_uuid")

_PROPERTIES = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    # whoever writes has the rows where they are to go; Iceberg would bring them there once more
    "write.distribution-mode": "none",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "100",
}


@dataclass(frozen=True)
class Staged:
    """A snapshot on a branch, by its own summary."""

    snapshot_id: int
    parent_id: int | None
    added_records: int
    added_files: int
    removed_records: int


class IcebergTable:
    """One table of the catalog. `base_snapshot_id` is what `main` showed when it was opened."""

    def __init__(self, session: SparkSession, name: str, table: Any) -> None:
        self._session = session
        self._table = table
        self.name = name
        self.identifier = f"{SPARK_CATALOG}.{name}"
        self.base_snapshot_id: int | None = self._current_snapshot_id()

    @property
    def sql_types(self) -> dict[str, str]:
        """Column names and types, the types as Spark's SQL writes them."""
        return {field.name: field.dataType.simpleString() for field in self._spark_schema().fields}

    @property
    def comments(self) -> dict[str, str]:
        """What the catalog says of each column; empty where it says nothing."""
        return {field.name: field.metadata.get("comment", "") for field in self._spark_schema().fields}

    @property
    def is_partitioned(self) -> bool:
        return bool(self._table.spec().isPartitioned())

    def evolve(self, columns: Sequence[Column]) -> bool:
        """Adds and widens columns until the table can hold the given ones, and says of each what its contract says now;
        one commit, none where nothing differs. Raises EvolutionError.
        """
        changes = plan_evolution(self.name, self.sql_types, columns)
        comments = changed_comments(self.comments, columns)
        if not changes and not comments:
            return False
        update = self._table.updateSchema()
        for change in changes:
            *holder, name = ["element" if part == EACH_ITEM else part for part in change.path]
            new_type = _iceberg_type(
                self._session, change.sql_type if isinstance(change, AddColumn) else change.to_type
            )
            if not isinstance(change, AddColumn):
                update.updateColumn(change.dotted, new_type)
            elif holder:
                update.addColumn(".".join(holder), name, new_type, change.comment or None)
            else:
                update.addColumn(name, new_type, change.comment or None)
        for name, comment in comments.items():
            update.updateColumnDoc(name, comment or None)
        update.commit()
        return True

    def require_snapshot(self) -> int:
        """The snapshot of `main`; an empty one is made where there is none, for a branch has to start somewhere."""
        if self.base_snapshot_id is None:
            self._table.newAppend().commit()
            self._table.refresh()
            self.base_snapshot_id = self._current_snapshot_id()
        assert self.base_snapshot_id is not None
        return self.base_snapshot_id

    def create_branch(self, branch: str) -> None:
        """A branch at the base. A branch of that name is an earlier attempt's of the same run, so it starts anew."""
        manage = self._table.manageSnapshots()
        if self._table.refs().containsKey(branch):
            manage = manage.replaceBranch(branch, self.require_snapshot())
        else:
            manage = manage.createBranch(branch, self.require_snapshot())
        manage.commit()

    def rows_at(self, snapshot_id: int, days: Sequence[str], columns: Sequence[Column]) -> DataFrame:
        """What a snapshot shows of these days, with these columns beside its own: a snapshot has those of its time."""
        wanted = ", ".join(f"DATE '{day}'" for day in days)
        rows = self._session.sql(
            f"SELECT * FROM {self.identifier} VERSION AS OF {snapshot_id} WHERE {PARTITION} IN ({wanted})"
        )
        added = [column for column in columns if column.name not in rows.columns]
        return rows.selectExpr("*", *(f"CAST(NULL AS {_quoted_type(one.sql_type)}) AS `{one.name}`" for one in added))

    def rows_of_branch(self, branch: str, where: str) -> DataFrame:
        """What the branch shows now. With the table's columns of today, while a snapshot has those of its time."""
        return self._session.sql(f"SELECT * FROM {self.identifier} VERSION AS OF '{branch}' WHERE {where}")

    def filled_up(self, rows: DataFrame) -> DataFrame:
        """The rows with every column and field of the table: what no contract knows any more is null in them."""
        if self.sql_types == {field.name: field.dataType.simpleString() for field in rows.schema.fields}:
            return rows
        return self._session.createDataFrame([], self._spark_schema()).unionByName(rows, allowMissingColumns=True)

    def staged(self, branch: str) -> Staged:
        """What the branch shows now."""
        self._table.refresh()
        snapshot = self._table.snapshot(branch)
        summary: Mapping[str, str] = dict(snapshot.summary())
        parent = snapshot.parentId()
        return Staged(
            int(snapshot.snapshotId()),
            None if parent is None else int(parent),
            int(summary.get("added-records", 0)),
            int(summary.get("added-data-files", 0)),
            int(summary.get("deleted-records", 0)),
        )

    def has_snapshot(self, snapshot_id: int) -> bool:
        return self._table.snapshot(snapshot_id) is not None

    def holds_rows(self) -> bool:
        """Whether the base shows any row."""
        if self.base_snapshot_id is None:
            return False
        total = dict(self._table.snapshot(self.base_snapshot_id).summary()).get("total-records")
        return total is None or int(total) > 0

    def snapshot_property(self, snapshot_id: int, name: str) -> str | None:
        value = dict(self._table.snapshot(snapshot_id).summary()).get(name)
        return None if value is None else str(value)

    def _current_snapshot_id(self) -> int | None:
        snapshot = self._table.currentSnapshot()
        return None if snapshot is None else int(snapshot.snapshotId())

    def _spark_schema(self) -> StructType:
        import json

        converted = self._session._jvm.SparkSchemaUtil.convert(self._table.schema())
        return StructType.fromJson(json.loads(converted.json()))


def open_table(session: SparkSession, name: str) -> IcebergTable | None:
    """The table, or None where there is none."""
    catalog, identifier = _catalog(session), _identifier(session, name)
    if not catalog.tableExists(identifier):
        return None
    return IcebergTable(session, name, catalog.loadTable(identifier))


def create_table(
    session: SparkSession, name: str, columns: Sequence[Column], owner: str, sort_by: Sequence[str]
) -> IcebergTable:
    """A new, empty table, partitioned by day where it has one, with an empty first snapshot, in one commit."""
    jvm = session._jvm
    fields = [f"`{column.name}` {_quoted_type(column.sql_type)} COMMENT {_text(column.told)}" for column in columns]
    struct = jvm.StructType.fromDDL(", ".join(fields))
    schema = jvm.SparkSchemaUtil.convert(struct)
    spec = jvm.PartitionSpec.builderFor(schema)
    if PARTITION in [column.name for column in columns]:
        spec = spec.identity(PARTITION)
    order = jvm.SortOrder.builderFor(schema)
    for column_name in sort_by:
        order = order.asc(column_name)
    builder = (
        _catalog(session).buildTable(_identifier(session, name), schema)
        .withPartitionSpec(spec.build())
        .withSortOrder(order.build())
    )  # fmt: skip
    for key, value in {**_PROPERTIES, "owner": owner}.items():
        builder = builder.withProperty(key, value)
    creation = builder.createTransaction()
    creation.newAppend().commit()
    creation.commitTransaction()
    created = open_table(session, name)
    if created is None:
        raise TransientError(
            f"creating table {name}: received a catalog that does not show it; valid is a table after its creation; "
            "run the load again"
        )
    return created


def ready_table(
    session: SparkSession, name: str, columns: Sequence[Column], owner: str, sort_by: Sequence[str]
) -> IcebergTable:
    """The table, created where it is missing, evolved where its contract has grown, with a snapshot to start from."""
    found = open_table(session, name)
    if found is None:
        return create_table(session, name, columns, owner, sort_by)
    found.evolve(columns)
    found.require_snapshot()
    return found


def _catalog(session: SparkSession) -> Any:
    return session._jsparkSession.sessionState().catalogManager().catalog(SPARK_CATALOG).icebergCatalog()


def _identifier(session: SparkSession, name: str) -> Any:
    return session._jvm.TableIdentifier.parse(name)


def _iceberg_type(session: SparkSession, sql_type: str) -> Any:
    jvm = session._jvm
    return jvm.SparkSchemaUtil.convert(jvm.DataType.fromDDL(_quoted_type(sql_type)))


def _quoted_type(sql_type: str) -> str:
    """`struct<order:string>` with its names in backquotes: a contract may call a field by a word of SQL."""
    import re

    return re.sub(r"(?<=[<,])(\w+):", r"`\1`:", sql_type)


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"

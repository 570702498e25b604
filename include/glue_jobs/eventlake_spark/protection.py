"""`x-protect` of the contracts in Spark: the SQL that does what `eventlake.protection` says, and the key it takes.

Belongs here: that SQL, the key from Secrets Manager to the session. Does not belong here: what each way does.

The key is the one row of a view in memory: a plan names the view, so no plan, and no exception with a plan in it, shows
the key. A text of SQL with the key in it would be in both. The hash is HMAC-SHA-256 of its two pads (RFC 2104).
https://www.rfc-editor.org/rfc/rfc2104
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from itertools import count

from pyspark.sql import SparkSession

from eventlake.contract_terms import EACH_ITEM, Path
from eventlake.errors import TerminalError
from eventlake.protection import MASK, Protection
from eventlake.table_schema import ColumnShape

_VIEW = "eventlake_protection_key"
_BLOCK_BYTES = 64

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


def know_key(session: SparkSession, name: str, read_secret: ReadSecret) -> None:
    """Lets the session's SQL use the key that the secret of this name holds."""
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
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK_BYTES else key).ljust(_BLOCK_BYTES, b"\0")
    pads = [bytes(byte ^ mask for byte in block) for mask in (0x36, 0x5C)]
    jvm, gateway = session._jvm, session.sparkContext._gateway
    values = gateway.new_array(jvm.java.lang.Object, len(pads))
    for place, pad in enumerate(pads):
        values[place] = pad
    rows = jvm.java.util.ArrayList()
    rows.add(jvm.org.apache.spark.sql.RowFactory.create(values))
    schema = jvm.StructType.fromDDL("inner_pad BINARY, outer_pad BINARY")
    session._jsparkSession.createDataFrame(rows, schema).createOrReplaceTempView(_VIEW)


def protected_sql(value: str, protection: Protection) -> str:
    """What the table gets for a text; null for null."""
    match protection:
        case Protection.HASHED:
            inner = f"sha2(concat((SELECT inner_pad FROM {_VIEW}), CAST({value} AS BINARY)), 256)"
            return f"sha2(concat((SELECT outer_pad FROM {_VIEW}), unhex({inner})), 256)"
        case Protection.MASKED:
            return f"IF({value} IS NULL, NULL, '{MASK}')"
        case Protection.MASKED_BUT_DOMAIN:
            return f"IF(instr({value}, '@') = 0, '{MASK}', concat('{MASK}@', substring_index({value}, '@', -1)))"


def with_protection(value: str, shape: ColumnShape, path: Path, protected: Mapping[Path, Protection]) -> str:
    """The value of a column or of a part of one, with what is protected in it replaced; itself where nothing is."""
    return _replaced(value, shape, path, protected, (f"item_{number}" for number in count()))


def _replaced(
    value: str, shape: ColumnShape, path: Path, protected: Mapping[Path, Protection], items: Iterator[str]
) -> str:
    if path in protected:
        return protected_sql(value, protected[path])
    if not any(place[: len(path)] == path for place in protected):
        return value
    if shape.items is not None:
        item = next(items)
        return f"transform({value}, {item} -> {_replaced(item, shape.items, (*path, EACH_ITEM), protected, items)})"
    parts = (
        f"'{name}', {_replaced(f'{value}.`{name}`', child, (*path, name), protected, items)}"
        for name, child in shape.children
    )
    return f"IF({value} IS NULL, NULL, named_struct({', '.join(parts)}))"

"""Every place in ministack that this package replaces or calls, and the version that these places were read in.

Belongs in here: the names, the check that they exist, the switch that leaves a fix out. Does not belong here: what a
fix does (one module of its name each). ministack's functions are private, so a new version may move them without a
word; the check turns that into one line at start instead of a wrong answer later.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PINNED_VERSION = "1.5.33"
WITHOUT_VARIABLE = "EMULATOR_WITHOUT"


class WrongMinistackError(Exception):
    """The installed ministack is not the one that the fixes were written for."""


class UnusableStateError(Exception):
    """What an earlier server left cannot be started from; the text says why and what to do."""


@dataclass(frozen=True)
class Fix:
    """One gap that a module of the same name closes."""

    name: str
    replaces: tuple[str, ...]
    calls: tuple[str, ...] = ()


_RESPONSES = (
    "core.responses:error_response_json",
    "core.responses:json_response",
    "core.responses:get_account_id",
    "core.responses:get_region",
    "core.responses:new_uuid",
)

# what emulator/service_logs.py calls
_LOGS = (
    "services.cloudwatch_logs:_log_groups",
    "services.cloudwatch_logs:_make_group_arn",
    "services.cloudwatch_logs:_append_log_events",
)

FIXES = (
    Fix(
        "checkpoints",
        replaces=(
            "app:_load_persisted_state",
            "app:save_all",
            "services.glue:run_reentrant",
            "services.s3:_build_object_record",
            "services.s3:_record_object_version",
            "services.s3:_version_entry_from_record",
            "services.s3:_object_record_from_version",
            "services.s3:_delete_object_version",
            "services.s3:_read_body",
            "services.s3:_version_body",
            "services.s3:_fire_s3_event_async",
            "services.s3:get_state",
            "services.s3:load_persisted_state",
            "services.dynamodb:_set_item",
            "services.dynamodb:_remove_item",
            "services.dynamodb:_update_ttl",
            "services.dynamodb:time",
        ),
        calls=(
            "app:_MAIN_LOOP",
            "services.dynamodb:_tables",
            "services.dynamodb:_ttl_settings",
            "services.dynamodb:_normalize_table_name",
            "services.kinesis:_streams",
            "core.responses:new_uuid",
            "app:_state_map",
            "app:_get_module",
            "app:_build_persistence_save_dict",
            "core.responses:AccountScopedDict",
            "core.responses:AccountRegionScopedDict",
            "core.responses:get_account_id",
            "core.responses:set_request_account_id",
            "services.lambda_svc:_prune_orphan_code_blobs",
            "services.s3:_buckets",
            "services.s3:_bucket_notifications",
            "services.s3:_fire_s3_event",
            "services.s3:_next_event_sequencer",
            "services.s3:_object_versions",
            "services.s3:_object_tags",
            "services.s3:_object_acl",
            "services.s3:_object_annotations",
            "services.s3:_object_retention",
            "services.s3:_object_legal_hold",
            "services.s3:_multipart_uploads",
            "services.sqs:_queues",
        ),
    ),
    Fix(
        "cloudwatch_metrics",
        replaces=(
            "services.cloudwatch:record_metric",
            "services.cloudwatch:get_state",
            "services.cloudwatch:_evict_old_metrics",
            "services.cloudwatch:_put_metric_data",
            "services.cloudwatch:_get_metric_data",
            "services.cloudwatch:_get_metric_statistics",
        ),
        calls=(
            "services.cloudwatch:_metrics",
            "services.cloudwatch:_metric_bucket",
            "services.cloudwatch:_dims_key",
            "services.cloudwatch:_dims_from_list",
            "services.cloudwatch:_calc_stats",
            "services.cloudwatch:_stat_value",
            "services.cloudwatch:_is_percentile_stat",
            "services.cloudwatch:_parse_ts",
            "services.cloudwatch:_ts_iso",
            "services.cloudwatch:_cbor_ok",
            "services.cloudwatch:_json_ok",
            "services.cloudwatch:_cbor_metric_data_result",
            "services.cloudwatch:_cbor_datapoint",
            *_RESPONSES,
        ),
    ),
    Fix(
        "cloudwatch_alarms",
        replaces=(
            "services.cloudwatch:_evaluate_alarm",
            "services.cloudwatch:_evaluate_all_alarms",
            "services.cloudwatch:_record_history",
            "services.cloudwatch:_dispatch_alarm_actions",
            "services.cloudwatch:_put_metric_alarm",
            "services.cloudwatch:_set_alarm_state",
        ),
        calls=(
            "services.cloudwatch:_alarms",
            "services.cloudwatch:_history_entries",
            "services.cloudwatch:_evaluate_parent_alarms",
            "services.cloudwatch:_is_sns_action_arn",
            "services.cloudwatch:_error",
            "services.sns:_fanout",
            "core.responses:_request_account_id",
            "core.responses:_request_region",
            *_RESPONSES,
        ),
    ),
    Fix("embedded_metrics", replaces=("services.cloudwatch_logs:_append_log_events",)),
    Fix(
        "sqs_metrics",
        replaces=(
            "services.sqs:_collect_msgs",
            "services.sqs:_delete_messages_for_esm",
            "services.sqs:_HANDLERS",
        ),
        calls=("services.sqs:_queues", "services.sqs:_get_q"),
    ),
    Fix(
        "dynamodb_metrics",
        replaces=(
            "services.dynamodb:json_response",
            "services.dynamodb:_get_item",
            "services.dynamodb:_query",
            "services.dynamodb:_scan",
            "services.dynamodb:_transact_get_items",
            "services.dynamodb:_put_item",
            "services.dynamodb:_update_item",
            "services.dynamodb:_delete_item",
            "services.dynamodb:_batch_write_item",
            "services.dynamodb:_batch_get_item",
            "services.dynamodb:_batch_execute_statement",
            "services.dynamodb:_transact_write_items",
        ),
        calls=("services.dynamodb:_normalize_table_name",),
    ),
    Fix(
        "dynamodb_statements",
        replaces=("services._dynamodb_keywords:_tokenize", "services.dynamodb:_parse_partiql"),
    ),
    Fix("s3_storage_metrics", replaces=(), calls=("services.s3:_buckets", "services.s3:_object_versions")),
    Fix("glue_job_metrics", replaces=()),
    Fix("state_change_events", replaces=(), calls=("services.eventbridge:_put_events", *_RESPONSES)),
    Fix(
        "kinesis",
        replaces=("services.kinesis:_expire_records", "services.kinesis:_next_sequence_number"),
        calls=("services.kinesis:_streams",),
    ),
    Fix(
        "kinesis_resharding",
        replaces=(
            "services.kinesis:_split_shard",
            "services.kinesis:_merge_shards",
            "services.kinesis:_update_shard_count",
            "services.kinesis:_route_to_shard",
        ),
        calls=(
            "services.kinesis:_resolve_stream",
            "services.kinesis:_next_sequence_number",
            "services.kinesis:_compute_hash_ranges",
            "services.kinesis:_max_shard_index",
            "services.kinesis:esm_wake",
            *_RESPONSES,
        ),
    ),
    Fix(
        "kinesis_listing",
        replaces=(
            "services.kinesis:_list_shards",
            "services.kinesis:_shard_out",
            "services.kinesis:_describe_stream_summary",
        ),
        calls=(
            "services.kinesis:_resolve_stream",
            "services.kinesis:_expire_records",
            "services.kinesis:_encode_list_shards_token",
            "services.kinesis:_decode_list_shards_token",
            *_RESPONSES,
        ),
    ),
    Fix(
        "kinesis_writing",
        replaces=(
            "services.kinesis:_put_record",
            "services.kinesis:_put_records",
            "services.kinesis:_create_stream",
        ),
        calls=(
            "services.kinesis:_resolve_stream",
            "services.kinesis:_partition_key_to_hash",
            "services.kinesis:_route_to_shard",
            *_RESPONSES,
        ),
    ),
    Fix(
        "kinesis_reading",
        replaces=("services.kinesis:_get_shard_iterator", "services.kinesis:_get_records"),
        calls=(
            "services.kinesis:_resolve_stream",
            "services.kinesis:_expire_records",
            "services.kinesis:_ensure_base64",
            "services.kinesis:_shard_iterators",
            "services.kinesis:_streams",
            "services.kinesis:ITERATOR_EXPIRY_SECONDS",
            *_RESPONSES,
        ),
    ),
    Fix("kinesis_metrics", replaces=(), calls=("services.cloudwatch:record_metric",)),
    Fix(
        "lambda_metrics",
        replaces=(
            "services.lambda_svc:_execute_function",
            "services.lambda_svc:_run_sqs_batch",
            "services.lambda_svc:_emit_lambda_metrics",
        ),
        calls=("services.cloudwatch:record_metric",),
    ),
    Fix(
        "lambda_worker",
        replaces=(
            "core.lambda_runtime:_PYTHON_WORKER_SCRIPT",
            "core.lambda_runtime:Worker.invoke",
            "services.lambda_svc:_execute_function_warm",
        ),
        calls=(
            "core.lambda_runtime:Worker._spawn",
            "core.lambda_runtime:_signal",
            "core.lambda_runtime:_collect",
            "core.lambda_runtime:_REAP_GRACE",
        ),
    ),
    Fix(
        "kinesis_event_source",
        replaces=(
            "services.lambda_svc:_poll_kinesis",
            "services.lambda_svc:_poll_sqs",
            "services.lambda_svc:_init_stream_position",
            "services.lambda_svc:_create_esm",
            "services.kinesis:esm_wake",
        ),
        calls=(
            "services.lambda_svc:_iter_all_esms",
            "services.lambda_svc:_kinesis_positions",
            "services.lambda_svc:_kinesis_stream_name_from_arn_spec",
            "services.lambda_svc:_get_func_record_for_qualifier",
            "services.lambda_svc:_apply_filter_criteria",
            "services.lambda_svc:_execute_function",
            "services.lambda_svc:_esm_inflight",
            "services.lambda_svc:_esms",
            "services.sqs:_queue_by_arn",
            "services.sqs:queue_delay",
            "services.sns:_topics",
            "services.sns:_fanout",
            "services.cloudwatch:record_metric",
            "services.kinesis:_streams",
            "core.arn:parse_arn",
            "core.responses:_request_account_id",
            "core.responses:_request_region",
            *_RESPONSES,
        ),
    ),
    Fix(
        "firehose",
        replaces=(
            "services.firehose:_HANDLERS",
            "services.firehose:_deliver_records_to_s3",
            "services.firehose:_create_delivery_stream",
            "services.firehose:_update_destination",
            "services.firehose:get_state",
            "services.firehose:_restore_state",
        ),
        calls=(
            "services.firehose:_streams",
            "services.firehose:_stream_arn",
            "services.firehose:_not_found",
            "services.firehose:_invalid",
            "services.firehose:_record_id",
            "services.firehose:_java_time",
            "services.firehose:_deliver_to_iceberg",
            "services.firehose:_s3_bucket_from_arn",
            "services.s3:handle_request",
            "services.cloudwatch:record_metric",
            "core.responses:_request_account_id",
            "core.responses:_request_region",
            *_LOGS,
            *_RESPONSES,
        ),
    ),
    Fix(
        "s3_lifecycle",
        replaces=(
            "services.s3:_put_bucket_lifecycle",
            "services.s3:_get_bucket_lifecycle",
            "services.s3:_dispatch",
            "services.s3:_s3_event_to_eventbridge",
            "services.s3:load_persisted_state",
        ),
        calls=(
            "app:_MAIN_LOOP",
            "core.responses:set_request_account_id",
            "services.s3:_buckets",
            "services.s3:_bucket_lifecycle",
            "services.s3:_bucket_versioning",
            "services.s3:_object_versions",
            "services.s3:_object_tags",
            "services.s3:_multipart_uploads",
            "services.s3:_no_such_bucket",
            "services.s3:_error",
            "services.s3:_check_object_lock",
            "services.s3:_purge_current_object",
            "services.s3:_record_delete_marker",
            "services.s3:_delete_object_version",
            "services.s3:_fire_s3_event_async",
            "core.responses:new_uuid",
        ),
    ),
    Fix(
        "s3_restore",
        replaces=(
            "services.s3:_restore_object",
            "services.s3:_sync_restore",
            "services.s3:_object_response_headers",
            "services.s3:load_persisted_state",
        ),
        calls=(
            "app:_MAIN_LOOP",
            "core.responses:set_request_account_id",
            "core.responses:get_account_id",
            "services.s3:_buckets",
            "services.s3:_ensure_bucket",
            "services.s3:_no_such_bucket",
            "services.s3:_error",
            "services.s3:_MALFORMED_XML",
            "services.s3:_restore_expiry_iso",
            "services.s3:_fire_s3_event_async",
        ),
    ),
    Fix(
        "glue_jobs",
        replaces=(
            "services.glue:_create_job",
            "services.glue:_update_job",
            "services.glue:_start_job_run",
            "services.glue:_get_job_runs",
            "services.glue:_batch_stop_job_run",
            "services.glue:_restore_state",
        ),
        calls=(
            "services.glue:_jobs",
            "services.glue:_job_runs",
            "services.s3:_get_object_data",
            *_LOGS,
            *_RESPONSES,
        ),
    ),
    Fix(
        "glue_catalog",
        replaces=(
            "services.glue:_create_table",
            "services.glue:_update_table",
            "services.glue:_create_partition",
            "services.glue:_batch_create_partition",
            "services.glue:_get_partitions",
            "services.glue:_handle_request_sync",
        ),
        calls=(
            "services.glue:_tables",
            "services.glue:_partitions",
            "services.glue:_batch_update_partition",
            "services.glue:_delete_partition",
            *_RESPONSES,
        ),
    ),
    Fix(
        "glue_crawler",
        replaces=(
            "services.glue:_create_crawler",
            "services.glue:_update_crawler",
            "services.glue:_delete_crawler",
            "services.glue:_start_crawler",
            "services.glue:_stop_crawler",
            "services.glue:_get_crawler_metrics",
            "services.glue:_restore_state",
        ),
        calls=(
            "services.glue:_crawlers",
            "services.glue:_databases",
            "services.glue:_tables",
            "services.glue:_partitions",
            "services.glue:_create_table",
            "services.glue:_update_table",
            "services.glue:_delete_table",
            "services.glue:_delete_partition",
            "services.glue:_batch_create_partition",
            "services.glue:_batch_update_partition",
            "services.s3:_ensure_bucket",
            "services.s3:_get_object_data",
            *_LOGS,
            *_RESPONSES,
        ),
    ),
    Fix(
        "athena",
        replaces=("services.athena:_table_relation",),
        calls=(
            "services.athena:_data_format",
            "services.athena:_sql_list",
            "services.athena:_hive_options",
            "services.athena:_path_partition_keys",
            "services.firehose:_hive_to_duckdb_type",
        ),
    ),
    Fix(
        "cloudformation",
        replaces=(
            "services.cloudformation.provisioners:_RESOURCE_HANDLERS",
            "services.cloudformation.provisioners:_GLUE_JOB_DEFAULTS",
        ),
        calls=(
            "services.s3:_put_bucket_lifecycle",
            "services.s3:_delete_bucket_lifecycle",
            "services.s3:_put_bucket_encryption",
            "services.s3:_delete_bucket_encryption",
            "services.s3:_put_bucket_tagging",
            "services.s3:_delete_bucket_tagging",
            "services.s3:_put_bucket_ownership_controls",
            "services.s3:_delete_bucket_ownership_controls",
            "services.s3:_put_bucket_versioning",
            "services.dynamodb:_tables",
            "services.dynamodb:_update_ttl",
            "services.dynamodb:_update_continuous_backups",
            "services.dynamodb:_sse_description_from_spec",
            "services.kinesis:_update_shard_count",
            "services.kinesis:_start_stream_encryption",
            "services.kinesis:_stop_stream_encryption",
            "services.lambda_svc:_functions",
            "services.lambda_svc:_put_function_concurrency",
            "services.lambda_svc:_delete_function_concurrency",
        ),
    ),
)


def left_out() -> frozenset[str]:
    """The fixes that the environment switches off; an unknown name is refused, or a test would prove nothing."""
    names = frozenset(name.strip() for name in os.environ.get(WITHOUT_VARIABLE, "").split(",") if name.strip())
    unknown = names - {fix.name for fix in FIXES}
    if unknown:
        known = ", ".join(fix.name for fix in FIXES)
        raise WrongMinistackError(f"{WITHOUT_VARIABLE} names {', '.join(sorted(unknown))}; the fixes are {known}")
    return names


def check() -> None:
    """Refuses another version, or one in which a named place is gone."""
    try:
        installed = version("ministack")
    except PackageNotFoundError:
        raise WrongMinistackError(f"ministack is not installed here; install ministack=={PINNED_VERSION}") from None
    if installed != PINNED_VERSION:
        raise WrongMinistackError(
            f"ministack {installed} is installed, but the fixes were written for {PINNED_VERSION}; "
            f"install ministack=={PINNED_VERSION}, or read emulator/patches.py against the new source first"
        )
    for fix in FIXES:
        for place in (*fix.replaces, *fix.calls):
            _find(place, fix.name)


def install() -> frozenset[str]:
    """Puts every fix in that is not left out; gives the names of those left out."""
    without = left_out()
    for fix in FIXES:
        if fix.name not in without:
            importlib.import_module(f"emulator.{fix.name}").install()
    return without


def replace(fix_name: str, place: str, new: Any) -> Any:
    """Puts `new` where `place` is and gives what was there; only what the fix has declared above."""
    fix = next(fix for fix in FIXES if fix.name == fix_name)
    if place not in fix.replaces:
        raise WrongMinistackError(f"the fix {fix_name} replaces {place} without naming it in emulator/patches.py")
    owner, name = _owner(place, fix_name)
    old = getattr(owner, name)
    setattr(owner, name, new)
    return old


def _find(place: str, fix_name: str) -> Any:
    owner, name = _owner(place, fix_name)
    if not hasattr(owner, name):
        raise WrongMinistackError(
            f"ministack {PINNED_VERSION} as installed has no {place}, which the fix {fix_name} needs; reinstall it"
        )
    return getattr(owner, name)


def _owner(place: str, fix_name: str) -> tuple[Any, str]:
    module_name, _, path = place.partition(":")
    owner: Any = importlib.import_module(f"ministack.{module_name}")
    *parents, name = path.split(".")
    for parent in parents:
        if not hasattr(owner, parent):
            raise WrongMinistackError(f"ministack has no {place}, which the fix {fix_name} needs")
        owner = getattr(owner, parent)
    return owner, name


@dataclass
class _Shutdown:
    """What has to happen before the server goes, in this order."""

    steps: list[tuple[int, Callable[[], None]]]


_shutdown = _Shutdown([])


def at_shutdown(order: int, step: Callable[[], None]) -> None:
    """Registers a step: 10 sources rest, 20 jobs end, 30 buffers are written, 40 processes go, 50 time stops."""
    _shutdown.steps.append((order, step))


def run_shutdown_steps() -> list[BaseException]:
    """Runs all steps, each whatever the others do; gives what went wrong."""
    failures: list[BaseException] = []
    for _, step in sorted(_shutdown.steps, key=lambda entry: entry[0]):
        try:
            step()
        except Exception as error:
            failures.append(error)
    return failures

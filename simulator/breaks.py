"""Events that break their contract: each breaks exactly one rule, named here, and must end in quarantine for it.

Belongs here: what goes wrong in senders, rule by rule. Does not belong here: what the stream refuses (poison.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Payload = dict[str, Any]


class Break(NamedTuple):
    """How one event goes wrong. `field` is dotted; `keyword` is the contract's."""

    event_name: str
    reason: str
    field: str
    keyword: str
    apply: Callable[[Payload], None]


def _put(event_name: str, reason: str, field: str, keyword: str, value: Any) -> Break:
    def apply(payload: Payload) -> None:
        holder, name = _holder(payload, field)
        holder[name] = value

    return Break(event_name, reason, field, keyword, apply)


def _drop(event_name: str, field: str, reason: str = "missing_required") -> Break:
    def apply(payload: Payload) -> None:
        holder, name = _holder(payload, field)
        holder.pop(name, None)

    return Break(event_name, reason, field, "required", apply)


def _add(event_name: str, field: str, to: str, more: float) -> Break:
    """The field comes out larger than the one it may not exceed."""

    def apply(payload: Payload) -> None:
        payload[field] = round(payload[to] + more, 3)

    return Break(event_name, "cross_field", field, "compare", apply)


def _holder(payload: Payload, field: str) -> tuple[Payload, str]:
    *path, name = field.split(".")
    for part in path:
        payload = payload[part]
    return payload, name


def _failed_but_passed(payload: Payload) -> None:
    payload["passed"], payload["score"] = True, 41.5


BREAKS: tuple[Break, ...] = (
    _put("lesson:exercise:answered", "wrong_type", "think_milliseconds", "type", "soon"),
    _put("lesson:exercise:answered", "wrong_type", "points_possible", "type", "10"),
    _put("account:created", "wrong_type", "attribution", "type", "organic"),
    _put("payment:order:completed", "wrong_type", "net_amount", "type", "19.90"),
    _put("playback:progress:reported", "wrong_type", "buffer", "type", "4.2s"),
    _put("session:started", "wrong_type", "streak_days", "type", 3.5),
    _put("booking:requested", "wrong_type", "tutor_id", "type", "tutor-17"),
    _put("search:query:submitted", "wrong_type", "results_total", "type", True),
    _put("message:sent", "wrong_type", "recipients", "type", [1]),
    _put("notification:sent:email", "wrong_type", "schedule.local_hour", "type", "seven"),
    _drop("lesson:completed", "score"),
    _drop("payment:order:created", "currency"),
    _drop("account:login:failed", "network.ip_address"),
    _put("device:crash:reported", "missing_required", "fingerprint", "required", None),
    _put("certificate:issued", "missing_required", "holder_name", "required", None),
    _drop("subscription:renewal:succeeded", "plan"),
    _drop("tutor:payout:sent", "bank"),
    _drop("session:screen:viewed", "user_id"),
    _drop("playback:started", "rendition.codec"),
    _put("lesson:completed:retake", "out_of_range", "score", "maximum", 104.5),
    _put("exercise:practice:finished", "out_of_range", "retention_target", "maximum", 1.2),
    _put("review:submitted", "out_of_range", "stars", "maximum", 6),
    _put("payment:order:created", "out_of_range", "gross_amount", "maximum", 250_000),
    _put("payment:order:completed", "out_of_range", "discount_amount", "decimal", 0.005),
    _put("account:profile:updated", "out_of_range", "display_name", "maxLength", "Á" * 81),
    _put("session:ended", "out_of_range", "foreground_share", "minimum", -0.1),
    _put("course:published", "out_of_range", "lessons", "minItems", []),
    _put("notification:sent:push", "out_of_range", "schedule.local_hour", "maximum", 24),
    _put("certificate:issued", "out_of_range", "grade", "maximum", 100.01),
    _put("experiment:exposure:logged", "out_of_range", "bucket", "maximum", 10_000),
    _put("support:chat:ended", "out_of_range", "confidence", "decimal", 0.123456),
    _put("lesson:started", "not_in_set", "difficulty", "enum", "impossible"),
    _put("subscription:trial:started", "not_in_set", "plan", "enum", "weekly"),
    _put("search:result:clicked", "not_in_set", "result_kind", "enum", "podcast"),
    _put("device:download:completed", "not_in_set", "package.media_quality", "enum", "ultra"),
    _put("support:ticket:opened", "not_in_set", "priority", "enum", "asap"),
    _put("booking:requested", "not_in_set", "room.kind", "enum", "hologram"),
    _put("session:screen:viewed", "not_in_set", "screen_name", "enum", "Home"),
    _put("account:created", "bad_format", "email", "format", "not an address"),
    _put("payment:order:created", "bad_format", "order_id", "pattern", "ORDER 12"),
    _put("invoice:issued", "bad_format", "invoice_number", "pattern", "INV-26-1"),
    _put("lesson:progress:reported", "bad_format", "session_id", "format", "none"),
    _put("booking:requested", "bad_format", "starts_at", "format", "tomorrow at five"),
    _put("refund:settled", "bad_format", "ledger.booked_on", "format", "2026-02-30"),
    _put("referral:link:shared", "bad_format", "referral_code", "pattern", "abc"),
    _put("playback:started", "bad_format", "media_id", "pattern", "MED-7"),
    _put("lesson:exercise:answered", "bad_format", "exercise_id", "pattern", "exr_7\n"),
    _add("payment:order:completed", "net_amount", "gross_amount", 1),
    _add("session:ended", "active_seconds", "duration_seconds", 1),
    _add("refund:requested", "requested_amount", "paid_amount", 0.01),
    _add("booking:cancelled:by_learner", "fee", "price", 0.01),
    _add("invoice:issued", "net_total", "gross_total", 10),
    _add("playback:ended", "watched_seconds", "duration_seconds", 0.001),
    _add("device:registered", "storage_free_bytes", "storage_total_bytes", 1),
    _add("review:vote:helpful", "votes_helpful", "votes_total", 1),
    _add("tutor:payout:sent", "payout_amount", "gross_earnings", 5),
    _add("lesson:completed", "exercises_correct", "exercises_done", 1),
    _drop("payment:order:card:declined", "decline_code", "cross_field"),
    _drop("search:query:empty", "fallback", "cross_field"),
    _drop("playback:progress:stalled", "stall_milliseconds", "cross_field"),
    Break("lesson:completed", "cross_field", "score", "minimum", _failed_but_passed),
)

"""Events of tutors, bookings and support: people who help."""

from __future__ import annotations

from typing import Any

from simulator.scene import Scene

Payload = dict[str, Any]


def tutor_application(scene: Scene, detail: str) -> Payload:
    payload = scene.by_server() | {
        "application_id": scene.kept("app"),
        "state": detail,
        "subjects": scene.some_of(("languages", "mathematics", "programming", "music", "history"), 3),
        "languages": scene.some_of((scene.language, "en-GB", "fr"), 2),
        "years_teaching": scene.few(6, 40),
        "hourly_rate": scene.decimal(9, 60),
        "currency": scene.currency,
        "motivation": scene.text(2600),
        "education": {
            "degree": scene.one_of(("none", "bachelor", "master", "teaching_licence")),
            "institution": "Univerzita Karlova",
        },
    }
    if detail == "withdrawn":
        payload["withdrawal_reason"] = scene.text(200)
    return payload


def tutor_vetting(scene: Scene, detail: str) -> Payload:
    result = {"passed": "passed", "failed": "failed"}.get(detail, "pending")
    check = (
        "interview"
        if result == "pending"
        else scene.one_of(("identity", "police_record", "sample_lesson", "references"))
    )
    payload = scene.by_server() | {
        "application_id": scene.kept("app"),
        "check": check,
        "result": result,
        "score": scene.decimal(1, 5.9) if result == "failed" else scene.decimal(6, 10),
        "pass_mark": 6,
        "examiner": {"examiner_id": scene.between(100, 900), "external": scene.chance(0.3)},
        "days_in_vetting": scene.between(0, 40),
    }
    if result == "failed":
        payload["failure_note"] = scene.text(300)
    return payload


def tutor_availability(scene: Scene, detail: str) -> Payload:
    offered = scene.between(2, 30)
    recurrence = scene.one_of(("once", "weekly", "weekly", "fortnightly"))
    payload = scene.by_client() | {
        "slots": [
            {"starts_at": scene.moment(24 + 7 * number), "minutes": scene.one_of((30, 45, 60))}
            for number in range(offered)
        ],
        "slots_offered": offered,
        "slots_booked": scene.between(0, offered),
        "hourly_rate": scene.decimal(9, 60),
        "currency": scene.currency,
        "recurrence": recurrence,
    }
    if recurrence == "weekly":
        payload["repeats_until"] = scene.date(90)
    if scene.chance(0.5):
        payload["calendar"] = {
            "provider": scene.one_of(("google", "outlook", "apple", "manual")),
            "conflicts_skipped": scene.few(2, 40),
        }
    return payload


def tutor_payout(scene: Scene, detail: str) -> Payload:
    gross = scene.between(2_000, 90_000)
    commission = gross * 18 // 100
    payload = scene.by_server() | {
        "payout_id": scene.kept("pay"),
        "lessons_held": scene.between(1, 60),
        "gross_earnings": gross / 100,
        "commission": commission / 100,
        "payout_amount": (gross - commission) / 100,
        "currency": scene.currency,
        "payout_status": "rejected" if detail == "bank:rejected" else "sent",
        "bank": {"country": scene.country, "account_ending": f"{scene.between(0, 9999):04d}"},
    }
    if scene.chance(0.3):
        payload["tax_withheld"] = commission // 5 / 100
    if detail == "bank:rejected":
        payload["rejection_code"] = scene.one_of(("account_closed", "name_mismatch", "invalid_account"))
    return payload


def _booking(scene: Scene, common: Payload) -> Payload:
    return common | {"booking_id": scene.kept("bkg"), "tutor_id": scene.kept_number("tutor", 5000, 9000)}


def booking_requested(scene: Scene, detail: str) -> Payload:
    scene.forget("bkg", "tutor")
    mode = "instant" if detail else scene.one_of(("request", "request", "trial"))
    price = scene.between(900, 6000)
    payload = _booking(scene, scene.by_client()) | {
        "starts_at": scene.moment(scene.between(2, 300)),
        "minutes": scene.one_of((30, 45, 60, 90)),
        "price": price / 100,
        "credit_used": scene.one_of((0, 0, price // 2, price)) / 100,
        "currency": scene.currency,
        "booking_mode": mode,
        "room": {
            "kind": scene.one_of(("in_app", "in_app", "phone", "external")),
            "recording_allowed": scene.chance(0.4),
        },
    }
    if mode == "trial":
        payload["trial_number"] = scene.between(1, 3)
    if scene.chance(0.6):
        payload["topic"] = scene.text(300)
    return payload


def booking_confirmed(scene: Scene, detail: str) -> Payload:
    payload = _booking(scene, scene.by_server()) | {
        "starts_at": scene.moment(scene.between(2, 300)),
        "confirmed_by": "rule" if detail else scene.one_of(("tutor", "tutor", "support")),
        "response_minutes": 0 if detail else scene.few(90, 9000),
        "tutor_acceptance": scene.decimal(0.4, 1, 4),
        "reminders": {"learner_minutes_before": scene.one_of((15, 60, 1440)), "tutor_minutes_before": 60},
    }
    if detail:
        payload["rule_name"] = "instant_booking_trusted"
    return payload


def booking_changed(scene: Scene, detail: str) -> Payload:
    minutes = scene.one_of((30, 45, 60))
    payload = _booking(scene, scene.by_client()) | {
        "previous_starts_at": scene.moment(24),
        "starts_at": scene.moment(48) if detail == "moved" else scene.moment(24),
        "minutes": minutes + (30 if detail == "extended" else 0),
        "previous_minutes": minutes,
        "change_kind": detail,
        "currency": scene.currency,
        "proposal": {"proposed_by": scene.one_of(("learner", "tutor")), "options": scene.between(1, 4)},
    }
    if detail == "extended":
        payload["surcharge"] = scene.decimal(4, 30)
    return payload


def booking_cancelled(scene: Scene, detail: str) -> Payload:
    price = scene.between(900, 6000)
    by = detail.removeprefix("by_")
    payload = _booking(scene, scene.by_server()) | {
        "cancelled_by": by,
        "hours_before": scene.decimal(-2, 200),
        "fee": scene.one_of((0, 0, price // 2)) / 100,
        "price": price / 100,
        "currency": scene.currency,
    }
    if by == "tutor":
        payload["penalty"] = {"points": scene.between(1, 10), "suspended_days": scene.one_of((0, 0, 7))}
    if by != "system":
        payload["cancel_reason"] = scene.text(200)
    return payload


def booking_attended(scene: Scene, detail: str) -> Payload:
    minutes = scene.one_of((30, 45, 60, 90))
    attendance = scene.one_of(("learner_absent", "tutor_absent")) if detail else "both"
    payload = _booking(scene, scene.by_server()) | {
        "attendance": attendance,
        "minutes": minutes,
        "minutes_held": 0 if detail else scene.between(minutes // 2, minutes),
        "call_quality": {"mean_opinion": scene.decimal(2, 4.6), "reconnects": scene.few(1, 20)},
    }
    if detail:
        payload["absence_policy"] = scene.one_of(("charged", "refunded", "rebooked"))
    else:
        payload["tutor_note"] = scene.text(1200)
    return payload


def support_ticket(scene: Scene, detail: str) -> Payload:
    state = {"opened": "open", "reopened": "open", "answered": "pending"}.get(detail, detail)
    payload = scene.by_server() | {
        "ticket_id": scene.kept_number("ticket", 400_000, 900_000),
        "ticket_state": state,
        "topic": scene.one_of(("billing", "billing", "login", "content", "technical", "tutor", "certificate", "other")),
        "priority": scene.one_of(("low", "normal", "normal", "high", "urgent")),
        "channel": scene.one_of(("form", "chat", "email", "phone", "social")),
        "subject_text": scene.text(80),
        "body_text": scene.text(2600),
        "sla": {"minutes_allowed": scene.one_of((60, 240, 1440)), "minutes_used": scene.few(120, 9000)},
        "handling_cost": scene.decimal(0, 9),
        "tags": scene.some_of(("refund", "ios", "vip", "school", "bug", "language"), 3),
    }
    if state == "escalated":
        payload["escalated_to"] = scene.one_of(("second_line", "engineering", "legal", "finance"))
    return payload


def support_satisfaction(scene: Scene, detail: str) -> Payload:
    rated = detail == "rated"
    payload = scene.by_client() | {
        "ticket_id": scene.kept_number("ticket", 400_000, 900_000),
        "rated": rated,
        "agent_id": scene.between(100, 900),
        "survey": {"sent_after_hours": scene.between(1, 72), "language": scene.language},
    }
    if rated:
        payload["rating"] = scene.one_of((5, 5, 4, 3, 1))
        payload["effort_score"] = scene.decimal(1, 7, 1)
        if scene.chance(0.5):
            payload["comment"] = scene.text(600)
    return payload


def support_chat(scene: Scene, detail: str) -> Payload:
    turns = scene.between(1, 30)
    rated = scene.between(0, turns)
    payload = scene.by_client() | {
        "chat_id": scene.kept_uuid("chat"),
        "chat_phase": detail,
        "topic": scene.one_of(("billing", "login", "content", "technical", "tutor", "other")),
        "assistant": {"model": "assistant-2026-09", "turns": turns},
        "confidence": scene.decimal(0.2, 1, 4),
        "turns_helpful": scene.between(0, rated),
        "turns_rated": rated,
    }
    if detail == "handed_over":
        payload["handover_reason"] = scene.one_of(("asked", "low_confidence", "policy", "angry"))
        payload["queue_seconds"] = scene.few(90, 9000)
    if detail != "started":
        payload["transcript_excerpt"] = scene.text(900)
    return payload


BUILDERS = {
    "tutor/application": tutor_application,
    "tutor/vetting": tutor_vetting,
    "tutor/availability": tutor_availability,
    "tutor/payout": tutor_payout,
    "booking/requested": booking_requested,
    "booking/confirmed": booking_confirmed,
    "booking/changed": booking_changed,
    "booking/cancelled": booking_cancelled,
    "booking/attended": booking_attended,
    "support/ticket": support_ticket,
    "support/satisfaction": support_satisfaction,
    "support/chat": support_chat,
}

"""Events of messages, reviews, notifications and search: what people tell each other, and look for."""

from __future__ import annotations

from typing import Any

from simulator.scene import Scene

Payload = dict[str, Any]


def notification_sent(scene: Scene, detail: str) -> Payload:
    scene.forget("notification")
    payload = scene.by_server() | {
        "notification_id": scene.kept_uuid("notification"),
        "channel": detail,
        "template": scene.one_of(
            ("streak_at_risk", "lesson_reminder", "tutor_answered", "weekly_report", "offer_yearly")
        ),
        "template_revision": scene.between(1, 24),
        "title_text": scene.text(60),
        "body_text": scene.text(1400 if detail == "email" else 160),
        "cost": {"sms": 0.06125, "email": 0.00011}.get(detail, 0),
        "schedule": {"chosen_by": scene.one_of(("rule", "model", "model")), "local_hour": scene.between(7, 22)},
    }
    if detail == "sms":
        payload["phone_country"] = scene.country
    if scene.chance(0.4):
        payload["segment"] = scene.one_of(("lapsing_7d", "new_d2", "trial_ending", "school_admins"))
    return payload


def notification_opened(scene: Scene, detail: str) -> Payload:
    followed = bool(detail)
    payload = scene.by_client() | {
        "notification_id": scene.kept_uuid("notification"),
        "channel": scene.one_of(("push", "push", "email", "in_app")),
        "seconds_to_open": scene.few(1800, 600_000),
        "followed_link": followed,
        "open_probability": scene.decimal(0.01, 0.6, 4),
    }
    if followed:
        payload["link"] = f"https://example.com/go/{scene.hexadecimal(10)}"
    if payload["channel"] == "email":
        payload["mail_client"] = {
            "name": scene.one_of(("Gmail", "Apple Mail", "Outlook")),
            "proxy_open": scene.chance(0.5),
        }
    return payload


def notification_bounced(scene: Scene, detail: str) -> Payload:
    hard = detail == "hard"
    payload = scene.by_server() | {
        "notification_id": scene.kept_uuid("notification"),
        "channel": scene.one_of(("push", "email", "sms")),
        "hardness": detail,
        "provider_code": "5.1.1" if hard else "4.2.2",
        "provider_text": "mailbox unavailable" if hard else "mailbox full; try again later",
        "address_suppressed": hard,
        "retry": {"done": scene.between(0, 3), "allowed": 5},
    }
    if hard:
        payload["suppressed_until"] = scene.date(90)
    return payload


def notification_preference(scene: Scene, detail: str) -> Payload:
    off = detail == "unsubscribed"
    topics = ("streaks", "offers", "tutors", "classes", "product_news", "reports")
    topics_on = [] if off else scene.some_of(topics, 5)
    payload = scene.by_client() | {
        "channel": scene.one_of(("push", "email", "sms")),
        "topics_on": topics_on,
        "unsubscribed": off,
        "topics_off_count": len(topics) - len(topics_on),
        "topics_count": len(topics),
    }
    if off:
        payload["unsubscribe_source"] = scene.one_of(("settings", "mail_footer", "list_header", "support"))
    if scene.chance(0.3):
        payload["quiet_hours"] = {"from_hour": 22, "to_hour": 7}
    return payload


def search_query(scene: Scene, detail: str) -> Payload:
    if detail == "submitted":
        scene.forget("search")
    total = 0 if detail == "empty" else scene.between(1, 900)
    payload = scene.by_client() | {
        "search_id": scene.kept_uuid("search"),
        "query_text": scene.query(),
        "query_language": scene.language,
        "scope": scene.one_of(("all", "all", "courses", "lessons", "tutors", "help")),
        "results_total": total,
        "results_shown": min(total, 20),
        "has_results": total > 0,
        "latency_milliseconds": 20 + scene.few(90, 9000),
    }
    if not total:
        payload["fallback"] = scene.one_of(("spelling", "synonyms", "semantic", "none"))
    if detail == "refined" or scene.chance(0.2):
        payload["filters"] = {"difficulty": scene.one_of(("beginner", "intermediate", "advanced")), "price_to": 49.99}
    return payload


def search_result(scene: Scene, detail: str) -> Payload:
    shown = scene.between(5, 20)
    kind = scene.one_of(("course", "course", "course", "lesson", "tutor", "help_article"))
    payload = scene.by_client() | {
        "search_id": scene.kept_uuid("search"),
        "result_kind": kind,
        "result_id": scene.kept("crs") if kind == "course" else scene.hexadecimal(12),
        "result_position": min(1 + scene.few(3, 30), shown),
        "results_shown": shown,
        "relevance": scene.decimal(0.1, 1, 6),
        "ranker": {
            "model": "ranker-2026-10",
            "features": [scene.decimal(-3, 3, 4) for _ in range(scene.between(4, 24))],
        },
    }
    if kind == "course":
        payload["course_id"] = scene.kept("crs")
    return payload


def search_suggestion(scene: Scene, detail: str) -> Payload:
    accepted = detail == "accepted"
    query = scene.query()
    typed = query[: max(1, len(query) // 3)]
    payload = scene.by_client() | {
        "typed_text": typed,
        "suggested_text": query,
        "suggestion_source": scene.one_of(("history", "popular", "catalogue", "trending")),
        "result_position": scene.between(1, 8),
        "keystrokes_saved": len(query) - len(typed),
        "accepted": accepted,
        "scores": {"language_model": scene.decimal(0, 1, 6), "popularity": scene.decimal(0, 1, 6)},
    }
    if accepted:
        payload["search_id"] = scene.kept_uuid("search")
    return payload


def review_submitted(scene: Scene, detail: str) -> Payload:
    kind = scene.one_of(("course", "course", "tutor"))
    payload = scene.by_client() | {
        "review_id": scene.kept("rev"),
        "subject_kind": kind,
        "stars": scene.one_of((5, 5, 5, 4, 4, 3, 2, 1)),
        "title_text": scene.text(60),
        "body_text": scene.text(2600),
        "body_language": scene.language,
        "verified_learner": scene.chance(0.9),
        "completion": scene.decimal(0.05, 1, 4),
    }
    if kind == "tutor":
        payload["tutor_id"] = scene.kept_number("tutor", 5000, 9000)
    else:
        payload["course_id"] = scene.kept("crs")
    if scene.chance(0.5):
        payload["aspects"] = {"clarity": scene.between(1, 5), "pace": scene.between(1, 5), "value": scene.between(1, 5)}
    return payload


def review_moderated(scene: Scene, detail: str) -> Payload:
    payload: Payload = {
        "review_id": scene.kept("rev"),
        "author_id": scene.user_id,
        "moderator": scene.one_of(("model", "model", "agent", "community")),
        "verdict": detail,
        "toxicity": scene.decimal(0.9, 1, 6) if detail == "removed" else scene.decimal(0, 0.3, 6),
        "threshold": 0.87,
        "queue": {"name": scene.one_of(("fast", "standard", "legal")), "minutes_waited": scene.few(30, 9000)},
    }
    if detail == "removed":
        payload["removal_ground"] = scene.one_of(("spam", "insult", "off_topic", "personal_data"))
    if scene.chance(0.3):
        payload["note"] = scene.text(300)
    return payload


def review_vote(scene: Scene, detail: str) -> Payload:
    total = scene.between(1, 400)
    payload = scene.by_client() | {
        "review_id": scene.kept("rev"),
        "vote": detail,
        "votes_helpful": scene.between(0, total),
        "votes_total": total,
        "helpful_share": scene.decimal(0, 0.95, 4),
        "list": {"sorted_by": scene.one_of(("newest", "helpful", "stars")), "place": 1 + scene.few(6, 300)},
    }
    if detail == "withdrawn":
        payload["previous_vote"] = scene.one_of(("helpful", "unhelpful"))
    return payload


def message_sent(scene: Scene, detail: str) -> Payload:
    scene.forget("message")
    body = "" if detail == "voice" else scene.text(2600)
    payload = scene.by_client() | {
        "message_id": scene.kept_uuid("message"),
        "conversation_id": scene.kept("cnv"),
        "conversation_kind": scene.one_of(("tutor", "tutor", "class", "support", "peer")),
        "content_kind": detail or "text",
        "body_text": body,
        "characters": len(body),
        "recipients": scene.one_of((1, 1, 1, 24)),
        # over 2^53 on purpose: the delivery log numbers so
        "delivery_number": (1 << 60) + scene.random.getrandbits(59),
    }
    if detail == "attachment":
        payload["attachment"] = {
            "media_type": scene.one_of(("image/png", "application/pdf", "audio/mpeg")),
            "size_bytes": scene.between(4_000, 9_000_000),
        }
    if detail == "voice":
        payload["voice_seconds"] = scene.decimal(1, 90, 3)
    return payload


def message_read(scene: Scene, detail: str) -> Payload:
    unread = 1 + scene.few(2, 80)
    opened_from = scene.one_of(("inbox", "notification", "badge", "search"))
    payload = scene.by_client() | {
        "conversation_id": scene.kept("cnv"),
        "messages_read": unread if detail else scene.between(1, unread),
        "unread_before": unread,
        "oldest_hours": scene.decimal(0, 90, 3),
        "opened_from": opened_from,
        "view": {"layout": scene.one_of(("list", "bubble")), "translated": scene.chance(0.2)},
    }
    if opened_from == "notification":
        payload["notification_id"] = scene.kept_uuid("notification")
    return payload


def message_flagged(scene: Scene, detail: str) -> Payload:
    flagged_by = {"by_filter": "filter", "upheld": "moderator"}.get(detail, "recipient")
    payload = scene.by_server() | {
        "message_id": scene.kept_uuid("message"),
        "conversation_id": scene.kept("cnv"),
        "flagged_by": flagged_by,
        "category": scene.one_of(("spam", "insult", "contact_exchange", "off_platform_payment", "other")),
        "excerpt": scene.text(120),
        "action": {"hidden": detail != "", "sender_muted_hours": scene.one_of((0, 0, 24, 168))},
        "is_minor_involved": scene.chance(0.1),
    }
    if flagged_by == "filter":
        payload["filter_score"] = scene.decimal(0.7, 1, 6)
    return payload


BUILDERS = {
    "notification/sent": notification_sent,
    "notification/opened": notification_opened,
    "notification/bounced": notification_bounced,
    "notification/preference": notification_preference,
    "search/query": search_query,
    "search/result": search_result,
    "search/suggestion": search_suggestion,
    "review/submitted": review_submitted,
    "review/moderated": review_moderated,
    "review/vote": review_vote,
    "message/sent": message_sent,
    "message/read": message_read,
    "message/flagged": message_flagged,
}

"""Events of lessons, exercises and courses: the learning itself."""

from __future__ import annotations

from typing import Any

from simulator.scene import Scene
from simulator.words import CONCEPTS, COURSE_TITLES

Payload = dict[str, Any]


def _lesson(scene: Scene) -> Payload:
    return scene.by_client() | {"lesson_id": scene.kept("les"), "course_id": scene.kept("crs")}


def lesson_started(scene: Scene, detail: str) -> Payload:
    scene.forget("les")
    scene.planned, scene.done, scene.correct = scene.between(6, 18), 0, 0
    origin = scene.one_of(("course_map", "course_map", "recommendation", "review_reminder", "search", "assignment"))
    payload = _lesson(scene) | {
        "lesson_version": scene.between(1, 40),
        "position": {"unit": scene.between(1, 60), "lesson": scene.between(1, 12)},
        "difficulty": scene.one_of(("beginner", "beginner", "elementary", "intermediate", "advanced", "expert")),
        "exercises_planned": scene.planned,
        "predicted_mastery": scene.decimal(0.2, 0.98, 4),
        "started_from": origin,
    }
    if origin == "assignment":
        payload["assignment_id"] = scene.new_id("asg")
    return payload


def lesson_progress(scene: Scene, detail: str) -> Payload:
    return _lesson(scene) | {
        "exercises_done": scene.done,
        "exercises_planned": scene.planned,
        "elapsed_seconds": scene.between(scene.done * 8, scene.done * 30 + 30),
        "progress": round(scene.done / scene.planned, 4),
        "connection": {"round_trip_milliseconds": scene.few(120, 20_000), "queued_saves": scene.few(0.3, 60)},
    }


def lesson_exercise(scene: Scene, detail: str) -> Payload:
    if detail in ("answered", "skipped"):
        scene.forget("exr")
        scene.done = min(scene.done + 1, scene.planned)
    outcome = {"skipped": "skipped", "hint:shown": "pending", "answer:corrected": "correct"}.get(
        detail, scene.one_of(("correct",) * 7 + ("partly_correct", "wrong", "wrong"))
    )
    kind = scene.one_of(
        ("multiple_choice", "multiple_choice", "cloze", "free_text", "speaking", "listening", "ordering")
    )
    possible = scene.one_of((5, 10, 10, 12.5))
    payload = _lesson(scene) | {
        "exercise_id": scene.kept("exr"),
        "exercise_kind": kind,
        "outcome": outcome,
        "points": {"correct": possible, "partly_correct": round(possible * 0.4, 2)}.get(outcome, 0),
        "points_possible": possible,
        "attempt": 1 + scene.few(0.4, 8),
        "hints_shown": 1 if detail == "hint:shown" else scene.few(0.3, 3),
        "think_milliseconds": 400 + scene.few(9_000, 900_000),
        "concepts": scene.some_of(CONCEPTS, 3),
    }
    if outcome in ("correct", "partly_correct", "wrong"):
        if outcome == "correct":
            scene.correct = min(scene.correct + 1, scene.done)
        if kind in ("multiple_choice", "ordering"):
            payload["response"] = {"choices": scene.some_of((0, 1, 2, 3), 3)}
        elif kind == "speaking":
            payload["response"] = {"text": scene.text(160), "confidence": scene.decimal(0.3, 1, 3)}
        else:
            payload["response"] = {"text": scene.text(900 if kind == "free_text" else 60)}
    return payload


def lesson_completed(scene: Scene, detail: str) -> Payload:
    done = max(scene.done, 1)
    perfect = detail == "perfect"
    correct = done if perfect else min(scene.correct, done)
    score = 100 if perfect else round(scene.decimal(30, 99.5), 2)
    before = scene.decimal(0.2, 0.8, 4)
    payload = _lesson(scene) | {
        "score": score,
        "passed": score >= 60,
        "exercises_done": done,
        "exercises_correct": correct,
        "elapsed_seconds": scene.between(done * 8 + 1, done * 40 + 60),
        "mastery": {"before": before, "after": min(1, round(before + scene.decimal(0, 0.2, 4), 4))},
        "experience_points": correct * 10,
    }
    if score >= 60:
        payload["next_lesson_id"] = scene.new_id("les")
    return payload


def lesson_abandoned(scene: Scene, detail: str) -> Payload:
    payload = _lesson(scene) | {
        "exercises_done": scene.done,
        "exercises_planned": scene.planned,
        "abandon_reason": detail or scene.one_of(("left_app", "closed_lesson", "connection", "crash")),
        "progress": round(scene.done / scene.planned, 4),
    }
    if detail == "no_hearts" or scene.done:
        payload["last_exercise_id"] = scene.kept("exr")
    if scene.chance(0.2):
        payload["feedback"] = scene.text(600)
    return payload


def exercise_attempt(scene: Scene, detail: str) -> Payload:
    if detail == "submitted":
        scene.forget("exr")
    payload = scene.by_client() | {
        "exercise_id": scene.kept("exr"),
        "practice_id": scene.kept_uuid("practice"),
        "grader": scene.one_of(("rules", "model", "model", "tutor", "peer")),
        "status": detail,
        "answer_text": scene.text(2600),
        "interval_days": scene.few(12, 900),
    }
    if detail != "submitted":
        payload["score"] = scene.decimal(0, 100)
        payload["grading_milliseconds"] = scene.few(700, 200_000)
        if scene.chance(0.5):
            payload["rubric"] = {part: scene.decimal(0, 10) for part in ("grammar", "vocabulary", "fluency")}
    return payload


def exercise_practice(scene: Scene, detail: str) -> Payload:
    if detail == "started":
        scene.forget("practice")
    reviewed = 0 if detail == "started" else scene.between(5, 60)
    payload = scene.by_client() | {
        "practice_id": scene.kept_uuid("practice"),
        "phase": "streak_kept" if detail == "streak:kept" else detail,
        "items_due": scene.between(0, 300),
        "items_reviewed": reviewed,
        "algorithm": {"name": scene.one_of(("leitner", "sm2", "half_life")), "revision": scene.between(1, 30)},
        "retention_target": scene.one_of((0.85, 0.9, 0.925)),
    }
    if reviewed:
        payload["items_recalled"] = scene.between(0, reviewed)
    return payload


def exercise_report(scene: Scene, detail: str) -> Payload:
    complaint = scene.one_of(("wrong_key", "typo", "bad_audio", "unclear", "offensive", "should_be_accepted"))
    payload = scene.by_client() | {
        "report_id": scene.kept("rep"),
        "exercise_id": scene.kept("exr"),
        "complaint": complaint,
        "reports_open": scene.between(1, 80),
        "evidence": {"screenshot_key": f"shots/{scene.hexadecimal(24)}.webp", "content_version": scene.between(1, 40)},
    }
    if complaint == "should_be_accepted":
        payload["suggested_answer"] = scene.text(80)
    if scene.chance(0.6):
        payload["comment"] = scene.text(800)
    return payload


def course_viewed(scene: Scene, detail: str) -> Payload:
    scene.forget("crs")
    price = scene.one_of((0, 19.9, 29, 49.99, 89))
    source = scene.one_of(("search", "recommendation", "recommendation", "catalogue", "campaign", "share"))
    payload = scene.by_client() | {
        "course_id": scene.kept("crs"),
        "list_price": price,
        "offered_price": round(price * scene.one_of((1, 1, 0.8, 0.5)), 2),
        "currency": scene.currency,
        "source": source,
    }
    if source == "campaign":
        payload["campaign"] = f"{scene.language}_black_friday"
    if scene.chance(0.8):
        payload["rating"] = {"average": scene.decimal(3, 5), "count": scene.between(3, 40_000)}
    return payload


def course_enrolled(scene: Scene, detail: str) -> Payload:
    access = detail or scene.one_of(("purchase", "plan", "plan", "free"))
    payload = scene.by_client() | {
        "course_id": scene.kept("crs"),
        "enrolment_id": scene.kept("enr"),
        "access": access,
        "price_paid": scene.decimal(9, 90) if access == "purchase" else 0,
        "currency": scene.currency,
        "pace": {"lessons_a_week": scene.between(1, 21), "reminder_hour": scene.between(6, 22)},
    }
    if access == "purchase":
        payload["order_id"] = scene.kept("ord")
    if scene.chance(0.4):
        payload["placement_unit"] = scene.between(1, 60)
    return payload


def course_completed(scene: Scene, detail: str) -> Payload:
    honours = bool(detail)
    required = scene.between(20, 240)
    return scene.by_client() | {
        "course_id": scene.kept("crs"),
        "enrolment_id": scene.kept("enr"),
        "lessons_required": required,
        "lessons_passed": required + scene.between(0, 30),
        "final_score": scene.decimal(90, 100) if honours else scene.decimal(60, 89.99),
        "honours": honours,
        "days_taken": scene.between(9, 700),
        "effort": {"hours": scene.decimal(6, 400), "sessions": scene.between(10, 900)},
    }


def course_left(scene: Scene, detail: str) -> Payload:
    reason = detail or scene.one_of(("unenrolled", "unenrolled", "refunded", "class_ended"))
    payload = scene.by_client() | {
        "course_id": scene.kept("crs"),
        "enrolment_id": scene.kept("enr"),
        "leave_reason": reason,
        "lessons_passed": scene.few(12, 300),
        "lessons_required": scene.between(20, 240),
    }
    if reason == "refunded":
        payload["refund_id"] = scene.kept("rfd")
    if scene.chance(0.4):
        payload["survey"] = {"difficulty": scene.between(1, 5), "remark": scene.text(500)}
    return payload


def course_published(scene: Scene, detail: str) -> Payload:
    translation = detail == "translation"
    payload: Payload = {
        "author_id": scene.user_id,
        "course_id": scene.kept("crs"),
        "course_version": scene.between(1, 30),
        "course_title": scene.one_of(COURSE_TITLES),
        "subject": scene.one_of(("languages", "languages", "mathematics", "programming", "science", "music", "design")),
        "teaching_language": scene.language,
        "lessons": [
            {
                "lesson_id": scene.new_id("les"),
                "lesson_title": f"{number}. {scene.query()}",
                "minutes": scene.between(5, 40),
            }
            for number in range(1, scene.between(8, 28))
        ],
        "review": {"reviewer_id": scene.between(100, 900), "findings": scene.few(8, 200)},
        "list_price": scene.one_of((0, 19.9, 29, 49.99, 89)),
        "currency": scene.currency,
        "is_translation": translation,
    }
    if translation:
        payload["translated_from"] = "en"
    return payload


BUILDERS = {
    "lesson/started": lesson_started,
    "lesson/progress": lesson_progress,
    "lesson/exercise": lesson_exercise,
    "lesson/completed": lesson_completed,
    "lesson/abandoned": lesson_abandoned,
    "exercise/attempt": exercise_attempt,
    "exercise/practice": exercise_practice,
    "exercise/report": exercise_report,
    "course/viewed": course_viewed,
    "course/enrolled": course_enrolled,
    "course/completed": course_completed,
    "course/left": course_left,
    "course/published": course_published,
}

"""Events of playback, classes and certificates: what surrounds the learning."""

from __future__ import annotations

from typing import Any

from simulator.scene import Scene

Payload = dict[str, Any]


def _playback(scene: Scene) -> Payload:
    length = scene.kept_number("length", 30_000, 1_500_000) / 1000
    return scene.by_client() | {
        "playback_id": scene.kept_uuid("playback"),
        "media_id": scene.kept("med"),
        "duration_seconds": length,
    }


def playback_started(scene: Scene, detail: str) -> Payload:
    scene.forget("playback", "med", "length", "position")
    captions = scene.chance(0.4)
    payload = _playback(scene) | {
        "lesson_id": scene.kept("les"),
        "media_kind": scene.one_of(("video", "video", "video", "audio", "live")),
        "start_position": 0 if scene.chance(0.7) else scene.decimal(0, 29, 3),
        "startup_milliseconds": 80 + scene.few(500, 60_000),
        "rendition": {
            "height": scene.one_of((360, 540, 720, 1080)),
            "bitrate_kilobits": scene.one_of((600, 1200, 2500, 4800)),
            "codec": scene.one_of(("h264", "h264", "hevc", "av1")),
        },
        "captions_on": captions,
    }
    if captions:
        payload["captions_language"] = scene.language
    return payload


def playback_progress(scene: Scene, detail: str) -> Payload:
    payload = _playback(scene)
    position = min(scene.kept_number("position", 5, 20) + 0.5, payload["duration_seconds"])
    scene.kept_values["position"] = int(position) + scene.between(5, 15)
    payload |= {
        "position_seconds": position,
        "state": {"stalled": "stalled", "sought": "seeking"}.get(detail, scene.one_of(("playing",) * 6 + ("paused",))),
        "speed": scene.one_of((1, 1, 1, 1.25, 1.5, 0.75)),
        "buffer": {"seconds_ahead": scene.decimal(0, 60, 3), "bitrate_kilobits": scene.one_of((600, 1200, 2500, 4800))},
    }
    if detail == "stalled":
        payload["stall_milliseconds"] = scene.few(1500, 120_000)
    return payload


def playback_ended(scene: Scene, detail: str) -> Payload:
    payload = _playback(scene)
    payload |= {
        "ended_how": detail or scene.one_of(("finished", "finished", "left")),
        "watched_seconds": scene.decimal(0, payload["duration_seconds"], 3),
        "stalls": scene.few(0.5, 90),
        "quality": {"mean_bitrate_kilobits": scene.between(300, 4800), "dropped_frames": scene.few(9, 4000)},
    }
    if detail:
        payload["error_code"] = scene.between(1000, 4999)
    return payload


def classroom_roster(scene: Scene, detail: str) -> Payload:
    payload = scene.by_server() | {
        "classroom_id": scene.kept("cls"),
        "school_id": scene.kept("sch"),
        "roster_change": detail,
        "pupils_changed": 1 if detail != "imported" else scene.between(8, 34),
        "pupils_total": scene.between(8, 34),
        "seat_price": scene.one_of((12.5, 18, 24.9)),
        "currency": scene.currency,
    }
    if detail == "imported":
        payload["rows_read"] = scene.between(8, 40)
        system = scene.one_of(("clever", "classlink", "google_classroom", "moodle", "file"))
        payload["source_system"] = {"name": system, "sync_id": scene.hexadecimal(16)}
    return payload


def classroom_assignment(scene: Scene, detail: str) -> Payload:
    possible = scene.one_of((10, 20, 50, 100))
    payload = scene.by_client() | {
        "assignment_id": scene.kept("asg"),
        "classroom_id": scene.kept("cls"),
        "assignment_state": detail,
        "due_at": scene.moment(scene.between(-40, 200)),
        "points": scene.decimal(0, possible) if detail == "graded" else 0,
        "points_possible": possible,
        "late": detail != "created" and scene.chance(0.15),
        "lesson_ids": [scene.new_id("les") for _ in range(scene.between(1, 5))],
    }
    if detail == "created":
        payload["instructions"] = scene.text(2500)
    if detail == "graded":
        payload["grading"] = {"graded_by": scene.one_of(("teacher", "model")), "rubric": "writing_b1"}
    return payload


def classroom_licence(scene: Scene, detail: str) -> Payload:
    seats = scene.between(20, 900)
    price = scene.one_of((12.5, 18, 24.9))
    payload = scene.by_server() | {
        "school_id": scene.kept("sch"),
        "licence_id": scene.kept("lic"),
        "licence_state": detail,
        "seats": seats,
        "seats_assigned": scene.between(0, seats),
        "contract_value": round(seats * price, 2),
        "seat_price": price,
        "currency": scene.currency,
        "ends_on": scene.date(-1 if detail == "lapsed" else 365),
        "contact": {"name": scene.person_name, "email": scene.email},
    }
    if detail == "purchased":
        payload["purchase_order"] = f"PO-{scene.between(1000, 99999)}"
    return payload


def certificate_issued(scene: Scene, detail: str) -> Payload:
    expires = scene.chance(0.3)
    payload = scene.by_server() | {
        "certificate_id": scene.kept("crt"),
        "course_id": scene.kept("crs"),
        "holder_name": scene.person_name,
        "grade": scene.decimal(60, 100),
        "level": scene.one_of(("A1", "A2", "B1", "B2", "C1", "C2", "none")),
        "expires": expires,
        "hours": scene.between(10, 300),
        "signature": {"algorithm": scene.one_of(("ed25519", "rsa_pss")), "key_id": scene.hexadecimal(16)},
    }
    if expires:
        payload["valid_until"] = scene.date(730)
    return payload


def certificate_verified(scene: Scene, detail: str) -> Payload:
    today = 1 + scene.few(1, 40)
    payload: Payload = {
        "certificate_id": scene.kept("crt"),
        "checked_by": "employer" if detail else scene.one_of(("visitor", "visitor", "school", "holder")),
        "outcome": scene.one_of(("valid",) * 8 + ("expired", "revoked", "unknown")),
        "network": {"country": scene.country, "ip_address": f"198.51.100.{scene.between(1, 254)}"},
        "checks_today": today,
        "checks_total": today + scene.few(20, 5000),
        "match_score": scene.decimal(0.5, 1, 4),
    }
    if detail:
        payload["employer_name"] = scene.one_of(
            ("Nordwind GmbH", "Kaigan 株式会社", "Ibérica Datos S.A.", "Łódź Robotics")
        )
    return payload


def certificate_revoked(scene: Scene, detail: str) -> Payload:
    ground = scene.one_of(("fraud", "wrong_name", "refund", "error", "court_order"))
    payload = scene.by_server() | {
        "certificate_id": scene.kept("crt"),
        "revocation_ground": ground,
        "reinstated": bool(detail),
        "case": {"case_number": f"CRT-{scene.between(10000, 99999)}", "decided_by": scene.between(100, 900)},
        "days_since_issue": scene.between(0, 1500),
    }
    if ground == "fraud":
        payload["plagiarism_share"] = scene.decimal(0.3, 1, 4)
    if scene.chance(0.7):
        payload["explanation"] = scene.text(900)
    return payload


BUILDERS = {
    "playback/started": playback_started,
    "playback/progress": playback_progress,
    "playback/ended": playback_ended,
    "classroom/roster": classroom_roster,
    "classroom/assignment": classroom_assignment,
    "classroom/licence": classroom_licence,
    "certificate/issued": certificate_issued,
    "certificate/verified": certificate_verified,
    "certificate/revoked": certificate_revoked,
}

"""Events of accounts, sessions, devices and experiments: who is there, and with what."""

from __future__ import annotations

from typing import Any

from simulator.scene import MICROSECONDS, Scene
from simulator.words import STACK_FRAMES

Payload = dict[str, Any]

SCREENS = (
    "home", "course_map", "lesson_player", "practice_hub", "search", "profile", "leaderboard", "checkout", "inbox",
    "tutor_list", "settings", "help",
)  # fmt: skip
EXPERIMENTS = ("streak_freeze_offer", "short_onboarding", "hint_before_skip", "price_ladder_2026", "voice_first_lesson")


def _address(scene: Scene) -> str:
    if scene.chance(0.2):
        return f"2001:db8:{scene.hexadecimal(4)}:{scene.hexadecimal(4)}::{scene.hexadecimal(3)}"
    return f"203.0.113.{scene.between(1, 254)}"


def account_created(scene: Scene, detail: str) -> Payload:
    consent = scene.chance(0.6)
    channel = scene.one_of(("organic", "organic", "paid_search", "social", "affiliate", "referral", "offline"))
    paid = channel in ("paid_search", "social", "affiliate")
    cost = scene.decimal(0.2, 9, 4) if paid else 0
    payload = scene.by_server() | {
        "signup_method": {"invited": "invitation", "imported": "school_sso"}.get(
            detail, scene.one_of(("email", "google", "apple"))
        ),
        "email": scene.email,
        "display_name": scene.person_name,
        "country": scene.country,
        "marketing_consent": consent,
        "attribution": {"channel": channel, "cost": cost},
    }
    if paid:
        payload["attribution"]["campaign"] = f"{scene.language}_autumn_{scene.between(1, 40)}"
    if consent:
        payload["consent_version"] = "2026-03"
    if scene.chance(0.5):
        payload["birth_year"] = scene.between(1955, 2013)
    if scene.chance(0.8):
        payload["learning_goal"] = scene.one_of(("career", "school", "travel", "family", "curiosity"))
        payload["acquisition_cost"] = cost
    return payload


def account_profile(scene: Scene, detail: str) -> Payload:
    fields = scene.some_of(("display_name", "about", "time_zone", "learning_languages", "native_language"), 4)
    payload = scene.by_client() | {
        "changed_fields": ["avatar"] if detail == "avatar:changed" else fields,
        "display_name": scene.person_name,
        "time_zone": scene.time_zone,
        "native_language": scene.language,
        "learning_languages": scene.some_of(("en", "es", "de", "fr", "ja", "zh", "ko", "pt"), 3),
        "fields_filled": 14 if detail == "completed" else scene.between(2, 13),
        "fields_total": 14,
    }
    if "about" in fields:
        payload["about"] = scene.text(1200)
    if detail == "avatar:changed":
        payload["avatar"] = {
            "source": scene.one_of(("upload", "library", "generated")),
            "size_bytes": scene.between(9_000, 900_000),
        }
    return payload


def account_email(scene: Scene, detail: str) -> Payload:
    requested = detail == "change:requested"
    payload = scene.by_server() | {
        "email": scene.email,
        "verification_method": scene.one_of(("link", "link", "code", "support")),
        "step": "requested" if requested else "confirmed",
        "attempts": scene.between(1, 3),
        "network": {"ip_address": _address(scene), "country": scene.country},
    }
    if not requested:
        payload["seconds_to_verify"] = scene.few(600, 2_592_000)
    if detail:
        payload["previous_email"] = "previous." + scene.email
    return payload


def account_login(scene: Scene, detail: str) -> Payload:
    payload = scene.by_client() | {
        "outcome": detail,
        "credential": scene.one_of(("password", "password", "google", "apple", "school_sso", "passkey")),
        "risk_score": scene.decimal(0.8, 1, 6) if detail == "challenged" else scene.decimal(0, 0.6, 6),
        "network": {"ip_address": _address(scene), "country": scene.country},
        "failures_in_a_row": scene.between(1, 4) if detail == "failed" else 0,
    }
    if detail == "failed":
        payload["failure_code"] = scene.one_of(("wrong_password", "wrong_password", "unknown_account", "locked"))
    return payload


def account_closed(scene: Scene, detail: str) -> Payload:
    lifetime = scene.between(1, 2500)
    erasure = bool(detail) or scene.chance(0.2)
    payload = scene.by_server() | {
        "closed_by": "owner" if erasure else scene.one_of(("owner", "operator", "inactivity")),
        "reason": "privacy" if erasure else scene.one_of(("too_expensive", "no_time", "finished_learning", "other")),
        "lifetime_days": lifetime,
        "active_days": scene.between(0, lifetime),
        "lifetime_value": scene.decimal(0, 900),
    }
    if erasure:
        payload["erase_after"] = scene.date(30)
    if scene.chance(0.4):
        payload["comment"] = scene.text(1500)
    return payload


def session_started(scene: Scene, detail: str) -> Payload:
    entry = "deep_link" if detail else scene.one_of(("icon", "icon", "icon", "notification", "widget", "browser"))
    payload = scene.by_client() | {
        "session_number": scene.between(1, 3000),
        "entry_point": entry,
        "cold_start_milliseconds": scene.between(250, 4800),
        "screen": {
            "width": scene.one_of((390, 412, 768, 1440, 1920)),
            "height": scene.one_of((844, 915, 1024, 900, 1080)),
            "pixel_ratio": scene.one_of((1, 1.5, 2, 2.63, 3)),
        },
        "network_type": scene.one_of(("wifi", "wifi", "wifi", "cellular", "cellular", "offline")),
        "streak_days": scene.few(20, 2000),
    }
    if detail:
        payload["referrer"] = f"https://example.com/share/{scene.hexadecimal(12)}?utm_source=mail&lang={scene.language}"
    return payload


def session_screen(scene: Scene, detail: str) -> Payload:
    view = scene.kept_number("view", 1, 1)
    scene.kept_values["view"] = view + 1
    payload = scene.by_client() | {
        "screen_name": scene.one_of(SCREENS),
        "view_number": view,
        "load_milliseconds": scene.few(300, 20_000),
        "scroll": {"depth": scene.decimal(0, 1, 4), "direction_changes": scene.few(3, 400)},
    }
    if view > 1:
        payload["previous_screen"] = scene.one_of(SCREENS)
    if detail == "left":
        payload["visible_milliseconds"] = scene.few(9_000, 3_600_000)
    if scene.chance(0.3):
        payload["experiment_keys"] = scene.some_of(EXPERIMENTS, 3)
    return payload


def session_ended(scene: Scene, detail: str) -> Payload:
    duration = min(max((scene.at_us - scene.session_started_us) // MICROSECONDS, scene.between(4, 900)), 86_400)
    active = int(duration * scene.decimal(0.4, 1, 4))
    return scene.by_client() | {
        "duration_seconds": duration,
        "active_seconds": active,
        "screens_viewed": scene.kept_number("view", 1, 9),
        "foreground_share": round(active / duration, 4),
        "ended_by": "timeout" if detail else scene.one_of(("person", "person", "crash", "logout")),
        "battery": {"level_start": scene.decimal(0.3, 1, 2), "level_end": scene.decimal(0, 0.3, 2), "charging": False},
    }


def device_registered(scene: Scene, detail: str) -> Payload:
    total = scene.one_of((64, 128, 256, 512)) * 10**9
    push = scene.chance(0.7)
    payload = scene.by_client() | {
        "device_id": scene.kept_uuid("device"),
        "model": scene.one_of(("Pixel 9", "SM-S921B", "iPhone17,1", "Redmi Note 13", "Chrome", "Firefox")),
        "manufacturer": scene.one_of(("Google", "Samsung", "Apple", "Xiaomi", "")),
        "system": {
            "name": {"web": "windows", "ios": "ios", "android": "android"}[scene.app["platform"]],
            "version": f"{scene.between(11, 26)}.{scene.between(0, 6)}",
        },
        "push_allowed": push,
        "storage_free_bytes": scene.between(10**8, total),
        "storage_total_bytes": total,
        "memory_gigabytes": scene.one_of((3.68, 5.51, 7.42, 11.2, 15.5)),
    }
    if push:
        payload["push_token"] = scene.hexadecimal(64)
    return payload


def device_crash(scene: Scene, detail: str) -> Payload:
    kind = "hang" if detail.startswith("hang") else scene.one_of(("exception", "exception", "signal", "out_of_memory"))
    payload = scene.by_client() | {
        "device_id": scene.kept_uuid("device"),
        "crash_kind": kind,
        "exception_name": scene.one_of(("TypeError", "java.lang.IllegalStateException", "NSRangeException", "SIGSEGV")),
        "message_text": f"Cannot read “{scene.query()}”\n\tat offset {scene.between(0, 4096)}",
        "stack": [scene.one_of(STACK_FRAMES) for _ in range(scene.between(4, 45))],
        "fingerprint": scene.hexadecimal(40),
        "memory": {"used_megabytes": scene.decimal(80, 900, 3), "limit_megabytes": 1024.0},
        "in_foreground": scene.chance(0.8),
    }
    if kind == "hang":
        payload["hang_seconds"] = scene.decimal(2, 40, 3)
    return payload


def device_download(scene: Scene, detail: str) -> Payload:
    expected = scene.between(2_000_000, 900_000_000)
    payload = scene.by_client() | {
        "device_id": scene.kept_uuid("device"),
        "course_id": scene.kept("crs"),
        "download_status": detail,
        "bytes_expected": expected,
        "bytes_stored": {"completed": expected, "removed": 0}.get(detail, scene.between(0, expected - 1)),
        "package": {"revision": scene.between(1, 60), "media_quality": scene.one_of(("low", "medium", "high"))},
    }
    if detail == "failed":
        payload["failure_code"] = scene.one_of(("no_space", "network", "checksum", "cancelled"))
    if detail == "completed":
        payload["rate_megabits"] = scene.decimal(1, 240, 3)
    return payload


def experiment_exposure(scene: Scene, detail: str) -> Payload:
    payload = scene.by_client() | {
        "experiment_key": scene.one_of(EXPERIMENTS),
        "variant": scene.one_of(("control", "treatment", "treatment_b")),
        "bucket": scene.between(0, 9999),
        "allocation_share": scene.one_of((0.5, 0.33333, 0.1)),
        "forced": detail == "forced",
        "context": {"surface": scene.one_of(("web", "app", "app", "email", "server")), "layer": "checkout"},
    }
    if detail == "forced":
        payload["forced_by"] = scene.between(100, 900)
    return payload


def experiment_allocation(scene: Scene, detail: str) -> Payload:
    payload: Payload = {
        "experiment_key": scene.one_of(EXPERIMENTS),
        "changed_by": scene.between(100, 900),
        "allocation_state": detail,
        "traffic_share": 0 if detail == "stopped" else scene.decimal(0.05, 1, 5),
        "variants": [{"variant": "control", "share": 0.5}, {"variant": "treatment", "share": 0.5}],
        "hypothesis": scene.text(500),
        "guardrails": {"crash_rate_to": 0.00250, "refund_rate_to": 0.04},
    }
    if detail == "stopped":
        payload["stop_reason"] = scene.one_of(("finished", "finished", "harm", "error", "superseded"))
    return payload


def experiment_result(scene: Scene, detail: str) -> Payload:
    exposed = scene.between(2_000, 400_000)
    effect = scene.decimal(-0.1, 0.2, 6)
    significant = detail == "significant"
    return {
        "experiment_key": scene.one_of(EXPERIMENTS),
        "metric": scene.one_of(("lesson_completed_d7", "trial_conversion", "retention_d30")),
        "people_exposed": exposed,
        "people_converted": scene.between(0, exposed),
        "effect": effect,
        "p_value": scene.decimal(0.0001, 0.0499, 7) if significant else scene.decimal(0.06, 1, 7),
        "significant": significant,
        "interval": {"low": round(effect - 0.04, 6), "high": round(effect + 0.04, 6)},
        "method": scene.one_of(("t_test", "sequential", "bayesian", "bootstrap")),
    }


BUILDERS = {
    "account/created": account_created,
    "account/profile": account_profile,
    "account/email": account_email,
    "account/login": account_login,
    "account/closed": account_closed,
    "session/started": session_started,
    "session/screen": session_screen,
    "session/ended": session_ended,
    "device/registered": device_registered,
    "device/crash": device_crash,
    "device/download": device_download,
    "experiment/exposure": experiment_exposure,
    "experiment/allocation": experiment_allocation,
    "experiment/result": experiment_result,
}

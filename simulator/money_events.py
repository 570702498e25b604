"""Events of payments, subscriptions, refunds, invoices and referrals: money. Sums are made in cents, so they agree."""

from __future__ import annotations

from typing import Any

from simulator.scene import MICROSECONDS, Scene

Payload = dict[str, Any]

_ARTICLES = (
    ("plan_yearly", 8988),
    ("plan_monthly", 1299),
    ("course_single", 4999),
    ("tutor_hour", 2450),
    ("gift_card", 2500),
)
PLANS = ("monthly", "monthly", "yearly", "yearly", "family", "school", "lifetime")


def _cents(amount: int) -> float:
    return amount / 100


def _instrument(scene: Scene, kind: str) -> Payload:
    if kind == "wallet":
        return {"kind": kind, "brand": scene.one_of(("paypal", "apple_pay", "google_pay"))}
    if kind == "card":
        brand = scene.one_of(("visa", "visa", "mastercard", "amex", "jcb", "elo"))
        return {"kind": kind, "brand": brand, "last_digits": f"{scene.between(0, 9999):04d}"}
    return {"kind": kind}


def _basket(scene: Scene) -> Payload:
    """The order that the story is about: made once, so that all its events name the same sums."""
    if "basket" not in scene.kept_values:
        lines = [
            {"sku": sku, "quantity": 1 + scene.few(0.2, 4), "unit_price": _cents(cents)}
            for sku, cents in scene.some_of(_ARTICLES, 3)
        ]
        gross = sum(line["quantity"] * round(line["unit_price"] * 100) for line in lines)
        discount = gross * scene.one_of((0, 0, 0, 10, 20, 50)) // 100
        net = gross - discount
        basket = {
            "currency": scene.currency,
            "gross_amount": _cents(gross),
            "discount_amount": _cents(discount),
            "net_amount": _cents(net),
            "tax_amount": _cents(net * 19 // 119),
            "lines": lines,
        }
        if discount:
            basket["coupon_code"] = scene.one_of(("AUTUMN26", "FRIEND10", "SCHOOL50"))
        scene.kept_values["basket"] = basket
    return dict(scene.kept_values["basket"])


def payment_order(scene: Scene, detail: str) -> Payload:
    if detail == "created":
        scene.forget("ord", "basket")
    kind = (
        "wallet"
        if detail == "wallet:declined"
        else "card"
        if detail == "card:declined"
        else scene.one_of(("card", "wallet"))
    )
    declined = detail.endswith("declined")
    payload = (
        scene.by_server()
        | {"order_id": scene.kept("ord"), "status": "declined" if declined else detail}
        | _basket(scene)
    )
    if detail != "abandoned":
        payload["instrument"] = _instrument(scene, kind)
    if declined:
        payload["decline_code"] = scene.one_of(
            ("insufficient_funds", "expired_card", "do_not_honour", "suspected_fraud", "authentication_failed")
        )
    if declined or detail == "completed":
        # nineteen digits: over what a double can hold
        payload["provider_reference"] = scene.between(4 * 10**18, 9 * 10**18)
    return payload


def payment_method(scene: Scene, detail: str) -> Payload:
    payload = scene.by_server() | {
        "method_id": scene.kept("pmt"),
        "action": detail,
        "instrument": _instrument(scene, scene.one_of(("card", "card", "wallet", "bank_transfer"))),
        "billing_country": scene.country,
        "is_default": scene.chance(0.7),
        "methods_on_file": scene.between(0, 4),
    }
    if detail == "expired" or payload["instrument"]["kind"] == "card":
        payload["expires_on"] = scene.date(-1 if detail == "expired" else 500)
    return payload


def payment_dispute(scene: Scene, detail: str) -> Payload:
    gross = scene.between(900, 30_000)
    payload = scene.by_server() | {
        "dispute_id": scene.kept("dsp"),
        "order_id": scene.kept("ord"),
        "stage": detail,
        "network_reason": scene.one_of(("10.4", "13.1", "13.7", "11.3")),
        "currency": scene.currency,
        "disputed_amount": _cents(gross if scene.chance(0.7) else gross // 2),
        "gross_amount": _cents(gross),
    }
    if detail == "lost":
        payload["dispute_fee"] = 15
    if scene.chance(0.6):
        payload["evidence"] = {"documents": scene.between(1, 9), "due_on": scene.date(14)}
        payload["statement"] = scene.text(2000)
    return payload


def subscription_trial(scene: Scene, detail: str) -> Payload:
    days = scene.one_of((7, 14, 30))
    payload = scene.by_server() | {
        "subscription_id": scene.kept("sub"),
        "plan": scene.one_of(PLANS),
        "trial_state": detail,
        "trial_days": days,
        "days_used": 0 if detail == "started" else scene.between(0, days),
        "price": scene.one_of((12.99, 89.88, 119.4)),
        "currency": scene.currency,
    }
    if detail == "converted":
        payload["first_order_id"] = scene.kept("ord")
    if scene.chance(0.3):
        payload["offer"] = {"code": "WELCOME", "percent_off": scene.one_of((10, 25, 33.33))}
    return payload


def subscription_plan(scene: Scene, detail: str) -> Payload:
    direction = {"upgraded": "up", "downgraded": "down"}.get(detail, "seats")
    seats = scene.between(2, 60) if direction == "seats" else scene.one_of((1, 1, 6))
    charge = scene.between(500, 9000)
    return scene.by_server() | {
        "subscription_id": scene.kept("sub"),
        "plan": {"up": "yearly", "down": "monthly"}.get(direction, "school"),
        "previous_plan": {"up": "monthly", "down": "yearly"}.get(direction, "school"),
        "direction": direction,
        "proration": {"credit": _cents(scene.between(0, charge)), "charge": _cents(charge)},
        "currency": scene.currency,
        "seats_used": scene.between(0, seats),
        "seats": seats,
        "effective_on": scene.date(scene.between(0, 30)),
    }


def subscription_renewal(scene: Scene, detail: str) -> Payload:
    payload = scene.by_server() | {
        "subscription_id": scene.kept("sub"),
        "plan": scene.one_of(PLANS),
        "renewal_result": "retry_scheduled" if detail == "retry:scheduled" else detail,
        "period_number": scene.between(2, 60),
        "price": scene.one_of((12.99, 89.88, 119.4)),
        "currency": scene.currency,
    }
    if detail == "failed":
        payload["failure_stage"] = scene.one_of(("soft_decline", "hard_decline", "method_missing", "provider_down"))
    if detail != "succeeded":
        payload["dunning"] = {"retries_done": scene.between(0, 4), "next_retry_at": scene.moment(72)}
    return payload


def subscription_cancelled(scene: Scene, detail: str) -> Payload:
    saved = detail == "saved"
    payload = scene.by_server() | {
        "subscription_id": scene.kept("sub"),
        "plan": scene.one_of(PLANS),
        "cancelled_in": scene.one_of(
            ("app_store", "play_store") if detail == "by_store" else ("app", "web", "support")
        ),
        "periods_paid": scene.few(9, 90),
        "saved": saved,
        "paid_until": scene.date(scene.between(0, 300)),
    }
    if saved or scene.chance(0.3):
        payload["save_offer"] = {"code": "STAY", "percent_off": 40}
    if scene.chance(0.7):
        payload["cancel_reason"] = scene.one_of(("price", "content", "bugs", "pause", "other_product", "finished"))
        payload["remark"] = scene.text(900)
    return payload


def refund_requested(scene: Scene, detail: str) -> Payload:
    paid = scene.between(999, 20_000)
    asked = paid if scene.chance(0.8) else paid // 2
    scene.kept_values["asked"] = asked
    ground = scene.one_of(
        ("changed_mind", "technical_fault", "charged_twice", "tutor_absent", "course_quality", "fraud", "other")
    )
    payload = scene.by_server() | {
        "refund_id": scene.kept("rfd"),
        "order_id": scene.kept("ord"),
        "requested_amount": _cents(asked),
        "paid_amount": _cents(paid),
        "currency": scene.currency,
        "ground": ground,
        "days_since_order": scene.few(9, 300),
        "usage": {"lessons_completed": scene.few(6, 200), "minutes_with_tutor": scene.few(20, 900)},
    }
    if ground == "other" or scene.chance(0.5):
        payload["explanation"] = scene.text(1500)
    return payload


def refund_decided(scene: Scene, detail: str) -> Payload:
    asked = scene.kept_number("asked", 999, 20_000)
    granted = {"approved": asked, "reduced": asked // 2}.get(detail, 0)
    payload = scene.by_server() | {
        "refund_id": scene.kept("rfd"),
        "decision": detail,
        "decided_by": scene.one_of(("policy", "agent", "manager")),
        "requested_amount": _cents(asked),
        "approved_amount": _cents(granted),
        "currency": scene.currency,
        "policy": {"name": "consumer_withdrawal", "clause": scene.one_of(("4.2", "4.3.1", "7"))},
        "hours_open": scene.decimal(0, 120),
    }
    if detail == "refused":
        payload["refusal_ground"] = scene.one_of(("out_of_period", "content_used", "abuse", "already_refunded"))
    return payload


def refund_settled(scene: Scene, detail: str) -> Payload:
    amount = _cents(scene.kept_number("asked", 999, 20_000))
    route = "account_credit" if detail else scene.one_of(("original_method", "original_method", "bank_transfer"))
    payload = scene.by_server() | {
        "refund_id": scene.kept("rfd"),
        "settled_amount": amount,
        "approved_amount": amount,
        "currency": scene.currency,
        "route": route,
        "ledger": {"entry": scene.between(10**6, 10**7), "booked_on": scene.date(0)},
    }
    if route == "bank_transfer":
        payload["bank_account_ending"] = f"{scene.between(0, 9999):04d}"
    if detail:
        payload["credit_expires_on"] = scene.date(365)
    return payload


def _invoice_number(scene: Scene) -> str:
    year = 1970 + int(scene.at_us // MICROSECONDS / 31_556_952)
    return f"INV-{year}-{scene.kept_number('invoice', 1, 9_999_999):07d}"


def invoice_issued(scene: Scene, detail: str) -> Payload:
    rate = scene.one_of((0, 0.055, 0.19, 0.2, 0.21))
    net = scene.between(999, 90_000)
    tax = round(net * rate)
    kind = scene.one_of(("person", "person", "company", "school"))
    payload = scene.by_server() | {
        "invoice_number": _invoice_number(scene),
        "order_id": scene.kept("ord"),
        "customer_kind": kind,
        "net_total": _cents(net),
        "tax_total": _cents(tax),
        "gross_total": _cents(net + tax),
        "tax_rate": rate,
        "currency": scene.currency,
        "due_on": scene.date(14),
        "address": {"country": scene.country, "city": scene.one_of(("Łódź", "Köln", "São Paulo", "東京", "Αθήνα"))},
    }
    if kind == "company":
        payload["company_name"] = scene.one_of(("Nordwind GmbH", "Kaigan 株式会社", "Ibérica Datos S.A."))
        payload["tax_number"] = f"DE{scene.between(10**8, 10**9 - 1)}"
    return payload


def invoice_paid(scene: Scene, detail: str) -> Payload:
    gross = scene.between(999, 90_000)
    in_part = detail == "in_part"
    payload = scene.by_server() | {
        "invoice_number": _invoice_number(scene),
        "paid_total": _cents(gross // 3 if in_part else gross),
        "gross_total": _cents(gross),
        "currency": scene.currency,
        "paid_in_full": not in_part,
        "days_late": scene.between(1, 60) if detail == "late" else 0,
        "transfer": {
            "method": scene.one_of(("card", "sepa", "swift", "pix", "upi")),
            "reference": _invoice_number(scene),
        },
    }
    if in_part:
        payload["dunning_level"] = scene.between(0, 2)
    return payload


def invoice_credited(scene: Scene, detail: str) -> Payload:
    gross = scene.between(999, 90_000)
    ground = scene.one_of(("refund", "refund", "wrong_tax", "wrong_address", "duplicate", "goodwill"))
    payload = scene.by_server() | {
        "invoice_number": _invoice_number(scene),
        "credit_number": _invoice_number(scene).replace("INV", "CRN"),
        "credited_total": _cents(gross // 2 if detail else gross),
        "gross_total": _cents(gross),
        "currency": scene.currency,
        "credit_ground": ground,
        "approval": {"approver_id": scene.between(100, 900), "approved_on": scene.date(0)},
    }
    if ground == "refund":
        payload["refund_id"] = scene.kept("rfd")
    return payload


def _referral_code(scene: Scene) -> str:
    return scene.kept("ref")[4:12].upper()


def referral_link(scene: Scene, detail: str) -> Payload:
    payload = scene.by_client() | {
        "referral_code": _referral_code(scene),
        "link_action": detail,
        "programme": {"name": "friends_2026", "reward": 10, "currency": scene.currency},
        "uses": 0 if detail == "created" else scene.few(2, 50),
        "uses_allowed": 50,
        "reward_promised": 10,
    }
    if detail == "shared":
        payload["shared_by"] = scene.one_of(
            ("whatsapp", "whatsapp", "telegram", "wechat", "line", "mail", "copy", "qr")
        )
    return payload


def referral_joined(scene: Scene, detail: str) -> Payload:
    payload = scene.by_server() | {
        "referral_code": _referral_code(scene),
        "referrer_id": scene.between(1_000_003, 7_000_000),
        "milestone": "purchase" if detail else "account",
        "days_since_share": scene.few(6, 200),
        "fraud_score": scene.decimal(0, 0.9, 6),
    }
    if detail:
        payload["order_id"] = scene.kept("ord")
    if scene.chance(0.5):
        payload["signals"] = {"same_network": scene.chance(0.2), "same_device": scene.chance(0.05)}
    return payload


def referral_reward(scene: Scene, detail: str) -> Payload:
    amount = scene.one_of((500, 1000, 1500))
    payload = scene.by_server() | {
        "reward_id": scene.kept("rwd"),
        "referral_code": _referral_code(scene),
        "reward_state": detail,
        "reward_amount": _cents(amount),
        "amount_left": _cents(amount if detail == "granted" else scene.between(1, amount)),
        "currency": scene.currency,
        "expires_on": scene.date(-1 if detail == "expired" else 180),
        "booking": {
            "entry": scene.between(10**6, 10**7),
            "account": scene.one_of(("marketing", "goodwill", "liability")),
        },
    }
    if detail == "revoked":
        payload["revoke_reason"] = scene.one_of(("fraud", "refund", "programme_ended"))
    return payload


BUILDERS = {
    "payment/order": payment_order,
    "payment/method": payment_method,
    "payment/dispute": payment_dispute,
    "subscription/trial": subscription_trial,
    "subscription/plan": subscription_plan,
    "subscription/renewal": subscription_renewal,
    "subscription/cancelled": subscription_cancelled,
    "refund/requested": refund_requested,
    "refund/decided": refund_decided,
    "refund/settled": refund_settled,
    "invoice/issued": invoice_issued,
    "invoice/paid": invoice_paid,
    "invoice/credited": invoice_credited,
    "referral/link": referral_link,
    "referral/joined": referral_joined,
    "referral/reward": referral_reward,
}

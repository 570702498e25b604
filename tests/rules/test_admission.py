"""What comes in, what does not and why: any bytes get exactly one answer, the same one every time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlake.admission import (
    DEEPEST_NESTING,
    EARLIEST_CREATED_AT_SECONDS,
    LARGEST_LINE_BYTES,
    Candidate,
    Rejected,
    RejectionReason,
    examine,
)
from tests.builders import (
    CODE_HASH,
    DAY_SECONDS,
    EIGHT_O_CLOCK_MS,
    EIGHT_O_CLOCK_SECONDS,
    a_uuid,
    an_arrival,
    an_event,
    as_sent,
)

VALID = as_sent(an_event())


def reason_for(sent: object) -> RejectionReason | None:
    answer = examine(an_arrival(sent), CODE_HASH)
    return answer.reason if isinstance(answer, Rejected) else None


def with_text(created_at: str) -> bytes:
    """An event whose created_at is written exactly so."""
    return VALID.replace(str(EIGHT_O_CLOCK_SECONDS).encode(), created_at.encode())


NOT_JSON = {
    "nothing": b"",
    "cut off": VALID[:-1],
    "two events": VALID + VALID,
    "byte order mark": b"\xef\xbb\xbf" + VALID,
    "utf-16": VALID.decode().encode("utf-16"),
    "latin-1": VALID[:-1] + b',"note":"\xe9"}',
    "surrogate as bytes": VALID[:-1] + b',"note":"\xed\xa0\x80"}',
    "NaN": VALID[:-1] + b',"rate":NaN}',
    "Infinity": VALID[:-1] + b',"rate":-Infinity}',
    "line break in a string": VALID[:-1] + b',"note":"a\nb"}',
    "trailing comma": VALID[:-1] + b",}",
    "depth bomb": b"[" * 200_000,
    "object bomb": b'{"a":' * 100_000,
    "deeper than Firehose reads": VALID[:-1] + b',"deep":' + b"[" * DEEPEST_NESTING + b"]" * DEEPEST_NESTING + b"}",
}


@pytest.mark.parametrize("sent", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_what_is_not_json_is_rejected_as_such(sent: bytes) -> None:
    assert reason_for(sent) is RejectionReason.NOT_JSON


@pytest.mark.parametrize("sent", [b"[]", b"1", b'"text"', b"null", b"true", b'[["event_uuid","x"]]'])
def test_json_that_is_no_object_is_rejected_as_such(sent: bytes) -> None:
    assert reason_for(sent) is RejectionReason.NOT_AN_OBJECT


REASONS = [
    (an_event(event_uuid=...), RejectionReason.MISSING_EVENT_UUID),
    (b"{}", RejectionReason.MISSING_EVENT_UUID),
    (an_event(event_uuid=None), RejectionReason.MISSING_EVENT_UUID),
    (an_event(event_uuid=""), RejectionReason.INVALID_EVENT_UUID),
    (an_event(event_uuid=7), RejectionReason.INVALID_EVENT_UUID),
    (an_event(event_uuid=a_uuid().replace("-", "")), RejectionReason.INVALID_EVENT_UUID),
    (an_event(event_uuid=a_uuid() + "\n"), RejectionReason.INVALID_EVENT_UUID),
    (an_event(event_uuid="\ud800"), RejectionReason.INVALID_EVENT_UUID),
    (an_event(event_name=...), RejectionReason.MISSING_EVENT_NAME),
    (an_event(event_name="payment"), RejectionReason.INVALID_EVENT_NAME),
    (an_event(event_name="Payment:order"), RejectionReason.INVALID_EVENT_NAME),
    (an_event(event_name="payment:"), RejectionReason.INVALID_EVENT_NAME),
    (an_event(event_name="payment:order:"), RejectionReason.INVALID_EVENT_NAME),
    (an_event(event_name="payment:../order"), RejectionReason.INVALID_EVENT_NAME),
    (an_event(event_name="payment:order\n"), RejectionReason.INVALID_EVENT_NAME),
    (an_event(event_name="payment:" + "x" * 65), RejectionReason.INVALID_EVENT_NAME),
    (an_event(event_name="payment:order" + ":x" * 200), RejectionReason.INVALID_EVENT_NAME),
    (an_event(event_name=["payment", "order"]), RejectionReason.INVALID_EVENT_NAME),
    (an_event(created_at=...), RejectionReason.MISSING_CREATED_AT),
    (an_event(created_at=str(EIGHT_O_CLOCK_SECONDS)), RejectionReason.INVALID_CREATED_AT),
    (an_event(created_at=True), RejectionReason.INVALID_CREATED_AT),
    (an_event(created_at=[1]), RejectionReason.INVALID_CREATED_AT),
    (an_event(created_at=0), RejectionReason.CREATED_TOO_EARLY),
    (an_event(created_at=-1), RejectionReason.CREATED_TOO_EARLY),
    (an_event(created_at=EIGHT_O_CLOCK_MS), RejectionReason.CREATED_IN_FUTURE),
    (with_text("1e400"), RejectionReason.CREATED_IN_FUTURE),
    (with_text("1e999999999"), RejectionReason.CREATED_IN_FUTURE),
    (with_text("-1e999999999"), RejectionReason.CREATED_TOO_EARLY),
    (with_text("1e-999999999"), RejectionReason.CREATED_TOO_EARLY),
    (with_text("1e999999999999999999"), RejectionReason.CREATED_IN_FUTURE),
    (with_text("-1e999999999999999999"), RejectionReason.CREATED_TOO_EARLY),
    (with_text("1e9999999999999999999999"), RejectionReason.INVALID_CREATED_AT),
    (with_text("9" * 100_000), RejectionReason.CREATED_IN_FUTURE),
    *[
        (an_event(**{name: None}), RejectionReason.RESERVED_FIELD)
        for name in ("created_datetime", "event_type", "event_subtype", "event_detail", "_lake", "_replay")
    ],
    (an_event(note="x" * LARGEST_LINE_BYTES), RejectionReason.TOO_LARGE),
    (VALID[:-1] + b',"created_at":1}', RejectionReason.AMBIGUOUS_ENVELOPE),
    (VALID[:-1] + b',"event\\u005fuuid":"x"}', RejectionReason.AMBIGUOUS_ENVELOPE),
]


@pytest.mark.parametrize(("sent", "reason"), REASONS, ids=[f"{r.value}-{n}" for n, (_, r) in enumerate(REASONS)])
def test_each_fault_has_its_own_reason(sent: object, reason: RejectionReason) -> None:
    assert reason_for(sent) is reason


WELCOME = {
    "plain": VALID,
    "upper-case uuid": an_event(event_uuid=a_uuid(0xABCDEF).upper()),
    "four-part name": an_event(event_name="file:change:added:binary"),
    "reserved name further in": an_event(body={"event_type": "x", "_lake": 1}),
    "own field twice": VALID[:-1] + b',"note":1,"note":2}',
    "envelope name twice further in": VALID[:-1] + b',"body":{"created_at":1,"created_at":2}}',
    "integer of 10,000 digits": VALID[:-1] + b',"big":' + b"7" * 10_000 + b"}",
    "lone surrogate as an escape": an_event(note="\ud83d"),
    "fraction with an exponent": with_text("179524800.05e1"),
    "wide, not deep": an_event(items=[[]] * 1_000),
    "brackets in a string": an_event(note='\\"' + "[" * 1_000),
    "as deep as Firehose reads": VALID[:-1]
    + b',"d":'
    + b"[" * (DEEPEST_NESTING - 1)
    + b"]" * (DEEPEST_NESTING - 1)
    + b"}",
}


@pytest.mark.parametrize("sent", WELCOME.values(), ids=WELCOME.keys())
def test_what_is_unusual_but_valid_comes_in(sent: object) -> None:
    assert reason_for(sent) is None


def test_bounds_are_relative_to_arrival_and_inclusive() -> None:
    a_day_ahead = EIGHT_O_CLOCK_SECONDS + DAY_SECONDS
    arrival = an_arrival(an_event(created_at=a_day_ahead), arrived_at_ms=EIGHT_O_CLOCK_MS)
    assert isinstance(examine(arrival, CODE_HASH), Candidate)
    beyond = an_arrival(an_event(created_at=a_day_ahead + 0.001), arrived_at_ms=EIGHT_O_CLOCK_MS)
    assert isinstance(examine(beyond, CODE_HASH), Rejected)
    assert reason_for(an_event(created_at=EARLIEST_CREATED_AT_SECONDS)) is None


def test_the_largest_line_fits_firehose_exactly() -> None:
    bare = examine(an_arrival(an_event(note="")), CODE_HASH)
    assert isinstance(bare, Candidate)
    room = LARGEST_LINE_BYTES - len(bare.line)
    fitting = examine(an_arrival(an_event(note="x" * room)), CODE_HASH)
    assert isinstance(fitting, Candidate)
    assert len(fitting.line) == LARGEST_LINE_BYTES
    assert reason_for(an_event(note="x" * (room + 1))) is RejectionReason.TOO_LARGE


def test_uuids_are_compared_in_lower_case_and_delivered_as_sent() -> None:
    answer = examine(an_arrival(an_event(event_uuid=a_uuid(0xABCDEF).upper())), CODE_HASH)
    assert isinstance(answer, Candidate)
    assert answer.event_uuid == a_uuid(0xABCDEF)
    assert a_uuid(0xABCDEF).upper().encode() in answer.line


def test_a_reject_carries_as_much_of_the_envelope_as_can_be_trusted() -> None:
    late_fault = examine(an_arrival(an_event(created_at="soon")), CODE_HASH)
    assert isinstance(late_fault, Rejected)
    assert (late_fault.event_uuid, late_fault.event_name) == (a_uuid(), "payment:order")
    ambiguous = examine(an_arrival(VALID[:-1] + b',"event_uuid":"x"}'), CODE_HASH)
    assert isinstance(ambiguous, Rejected)
    assert (ambiguous.event_uuid, ambiguous.event_name) == (None, None)


LATEST_SECONDS = EIGHT_O_CLOCK_SECONDS + DAY_SECONDS
MOMENTS = st.sampled_from([EARLIEST_CREATED_AT_SECONDS, EIGHT_O_CLOCK_SECONDS, LATEST_SECONDS])


@given(near=MOMENTS, places=st.integers(0, 45), away=st.integers(-(10**8), 10**8), has_exponent=st.booleans())
@settings(max_examples=300)
def test_times_are_compared_and_cut_to_microseconds_exactly(
    near: int, places: int, away: int, has_exponent: bool
) -> None:
    # given a decimal with more places than a float or Decimal's own 28 digits can hold, or with none
    digits = near * 10**places + away
    whole, fraction = divmod(digits, 10**places)
    text = f"{digits}e-{places}" if has_exponent else f"{whole}.{fraction:0{places}d}" if places else str(whole)
    moment = Fraction(digits, 10**places)
    # when
    answer = examine(an_arrival(with_text(text), arrived_at_ms=EIGHT_O_CLOCK_MS), CODE_HASH)
    # then
    if EARLIEST_CREATED_AT_SECONDS <= moment <= LATEST_SECONDS:
        assert isinstance(answer, Candidate)
        shown = json.loads(answer.line)["created_datetime"]
        microseconds = datetime.fromisoformat(shown) - datetime.fromtimestamp(0, UTC)
        assert microseconds // timedelta(microseconds=1) == moment * 10**6 // 1
    else:
        too_early = moment < EARLIEST_CREATED_AT_SECONDS
        reason = RejectionReason.CREATED_TOO_EARLY if too_early else RejectionReason.CREATED_IN_FUTURE
        assert isinstance(answer, Rejected)
        assert answer.reason is reason


def test_a_time_just_before_midnight_stays_on_its_day() -> None:
    midnight = EIGHT_O_CLOCK_SECONDS - 8 * 3600
    sent = with_text(f"{midnight - 1}.{'9' * 40}")
    answer = examine(an_arrival(sent), CODE_HASH)
    assert isinstance(answer, Candidate)
    event = json.loads(answer.line)
    assert event["created_datetime"] == "2026-11-20T23:59:59.999999Z"
    assert event["_lake"]["day"] == "2026-11-20"


@st.composite
def damaged_events(draw: st.DrawFn) -> bytes:
    """An event with a slice replaced: nearly right, which random bytes never are."""
    sent = as_sent(an_event(note="é\\"))
    start = draw(st.integers(0, len(sent)))
    return sent[:start] + draw(st.binary(max_size=6)) + sent[draw(st.integers(start, len(sent))) :]


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON_VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=5), SCALARS, max_size=3)
ENVELOPES = st.fixed_dictionaries(
    {},
    optional={
        "event_uuid": JSON_VALUES | st.just(a_uuid()),
        "event_name": JSON_VALUES | st.just("payment:order"),
        "created_at": JSON_VALUES | st.just(EIGHT_O_CLOCK_SECONDS),
        "_lake": JSON_VALUES,
    },
)


@given(st.binary(max_size=40) | damaged_events() | st.builds(as_sent, JSON_VALUES | ENVELOPES))
@settings(max_examples=80)
def test_any_bytes_get_exactly_one_answer_and_the_same_again(sent: bytes) -> None:
    arrival = an_arrival(sent)
    answer = examine(arrival, CODE_HASH)
    assert isinstance(answer, Candidate) != isinstance(answer, Rejected)
    assert answer.arrival is arrival
    assert examine(arrival, CODE_HASH) == answer

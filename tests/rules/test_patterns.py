"""Patterns: the subset that all engines read alike, `$` as the very end, and formats that mean what they say."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlake.patterns import FORMAT_PATTERNS, java_pattern, pattern_fault, python_pattern


@pytest.mark.parametrize(
    "pattern",
    [
        "^[A-Z]{3}$",
        r"^\d+(?:\.\d{1,2})?$",
        "a|b",
        r"^ord_[0-9a-z]{10}$",
        "a+?b*?",
        r"[^\]\[]",
        "[$a]$",
        r"\$",
        "",
        "[a-]",
    ],
)
def test_the_subset_is_taken(pattern: str) -> None:
    assert pattern_fault(pattern) is None


@pytest.mark.parametrize(
    "pattern",
    [
        "(?i)a", "(?P<n>a)", "(?<n>a)", "(?=a)", "(?<!a)", r"(a)\1", r"\bword", r"\p{L}", r"\x41", r"\Z", "a++",
        "a{2}+", "{", "a{,3}", "a{1001}", "}", "]", "[a[b]", "[a&&b]", "[]a]", "[^]a]", "[a", "(a", "a)",
        "*a", "\\", "[z-a]",
    ],
)  # fmt: skip
def test_what_engines_read_differently_is_refused(pattern: str) -> None:
    assert pattern_fault(pattern)


def test_the_end_is_the_very_end_for_both_engines() -> None:
    # given a text that Python's own `$` would accept
    assert not python_pattern("^a$").search("a\n")

    # then Java gets the same meaning, and only where `$` means the end
    assert java_pattern(r"^a\$[$]$") == r"(?d)^a\$[$]\z"


def test_digits_are_the_ascii_digits() -> None:
    assert not python_pattern(r"^\d$").search("٣")


@given(st.dates())
@settings(max_examples=40)
def test_every_date_has_the_format_date(day: date) -> None:
    assert python_pattern(FORMAT_PATTERNS["date"]).search(day.isoformat())


@given(st.from_regex(r"[0-9]{4}-[01][0-9]-[0-3][0-9]", fullmatch=True))
@settings(max_examples=60)
def test_only_days_of_the_calendar_have_the_format_date(text: str) -> None:
    try:
        is_day = bool(date.fromisoformat(text.replace("0000", "0400", 1) if text.startswith("0000") else text))
    except ValueError:
        is_day = False
    assert bool(python_pattern(FORMAT_PATTERNS["date"]).search(text)) == is_day


@given(st.datetimes(timezones=st.just(UTC)))
@settings(max_examples=30)
def test_every_time_has_the_format_date_time(time: datetime) -> None:
    assert python_pattern(FORMAT_PATTERNS["date-time"]).search(time.isoformat())


@given(st.uuids())
@settings(max_examples=10)
def test_every_uuid_has_the_format_uuid(value: uuid.UUID) -> None:
    assert python_pattern(FORMAT_PATTERNS["uuid"]).search(str(value).upper())


@pytest.mark.parametrize(
    ("name", "text", "fits"),
    [
        ("date", "2024-02-29", True),
        ("date", "", False),
        ("date", "2023-02-29", False),
        ("date", "1900-02-29", False),
        ("date", "2000-02-29", True),
        ("date", "2023-04-31", False),
        ("date", "2023-04-30\n", False),
        ("date-time", "2023-04-30T24:00:00Z", False),
        ("date-time", "2023-04-30T10:00:00", False),
        ("date-time", "2023-04-30T10:00:00.123456789+05:30", True),
        ("uuid", "5b49e0b3-7c6a-5d20-9639-5373f011c15d", True),
        ("uuid", "5b49e0b37c6a5d2096395373f011c15d", False),
        ("email", "someone@example.org", True),
        ("email", "some one@example.org", False),
        ("email", "someone@localhost", False),
        ("email", "someone@-x.org", False),
        ("email", "a@b@example.org", False),
    ],
)
def test_formats(name: str, text: str, fits: bool) -> None:
    assert bool(python_pattern(FORMAT_PATTERNS[name]).search(text)) is fits


def test_the_formats_lie_in_the_subset() -> None:
    assert {name: pattern_fault(pattern) for name, pattern in FORMAT_PATTERNS.items()} == dict.fromkeys(FORMAT_PATTERNS)

"""Lifecycle rules of S3: what a configuration may say, and what it says of one object.

Belongs in here: the reading of a configuration, what AWS refuses of it, and the moment at which a rule acts; no clock,
no bucket. Does not belong here: who acts (s3_lifecycle.py).
https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring

Rule = dict[str, Any]

DAY_SECONDS = 86400
SMALLEST_TRANSITION_BYTES = 128 * 1024
ALL_CLASSES_128K = "all_storage_classes_128K"
VARIES_BY_CLASS = "varies_by_storage_class"

_MOST_RULES = 1000
_INFREQUENT_CLASSES = ("STANDARD_IA", "ONEZONE_IA")
_ARCHIVE_CLASSES = ("GLACIER", "DEEP_ARCHIVE")
_INFREQUENT_DAYS = 30
_MOST_NEWER_VERSIONS = 100
# where a rule may move an object from each class; coldest last
_COLDER = {
    "STANDARD": ("STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"),
    "REDUCED_REDUNDANCY": (),
    "STANDARD_IA": ("INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"),
    "INTELLIGENT_TIERING": ("ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"),
    "ONEZONE_IA": ("GLACIER", "DEEP_ARCHIVE"),
    "GLACIER_IR": ("GLACIER", "DEEP_ARCHIVE"),
    "GLACIER": ("DEEP_ARCHIVE",),
    "DEEP_ARCHIVE": (),
}
_CLASSES = _COLDER["STANDARD"]

# what may stand in each element, and under which name it is kept; a name with "*" may stand more than once
_CHILDREN: dict[str, dict[str, str]] = {
    "LifecycleConfiguration": {"Rule": "Rules*"},
    "Rule": {
        "ID": "ID",
        "Status": "Status",
        "Prefix": "Prefix",
        "Filter": "Filter",
        "Transition": "Transitions*",
        "NoncurrentVersionTransition": "NoncurrentVersionTransitions*",
        "Expiration": "Expiration",
        "NoncurrentVersionExpiration": "NoncurrentVersionExpiration",
        "AbortIncompleteMultipartUpload": "AbortIncompleteMultipartUpload",
    },
    "Filter": {
        "Prefix": "Prefix",
        "Tag": "Tag",
        "ObjectSizeGreaterThan": "ObjectSizeGreaterThan",
        "ObjectSizeLessThan": "ObjectSizeLessThan",
        "And": "And",
    },
    "And": {
        "Prefix": "Prefix",
        "Tag": "Tags*",
        "ObjectSizeGreaterThan": "ObjectSizeGreaterThan",
        "ObjectSizeLessThan": "ObjectSizeLessThan",
    },
    "Tag": {"Key": "Key", "Value": "Value"},
    "Transition": {"Days": "Days", "Date": "Date", "StorageClass": "StorageClass"},
    "NoncurrentVersionTransition": {
        "NoncurrentDays": "NoncurrentDays",
        "NewerNoncurrentVersions": "NewerNoncurrentVersions",
        "StorageClass": "StorageClass",
    },
    "Expiration": {"Days": "Days", "Date": "Date", "ExpiredObjectDeleteMarker": "ExpiredObjectDeleteMarker"},
    "NoncurrentVersionExpiration": {
        "NoncurrentDays": "NoncurrentDays",
        "NewerNoncurrentVersions": "NewerNoncurrentVersions",
    },
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": "DaysAfterInitiation"},
}
_NUMBERS = frozenset(
    {
        "Days",
        "NoncurrentDays",
        "NewerNoncurrentVersions",
        "DaysAfterInitiation",
        "ObjectSizeGreaterThan",
        "ObjectSizeLessThan",
    }
)


class RefusedError(Exception):
    """A configuration that AWS would not take: its code and its words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def _malformed() -> RefusedError:
    return RefusedError(
        "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"
    )


def read_rules(body: bytes) -> list[Rule]:
    """The rules of a request's body, checked; a rule without an ID gets none here."""
    try:
        root = fromstring(body)
    except ParseError:
        raise _malformed() from None
    if _name(root) != "LifecycleConfiguration":
        raise _malformed()
    rules: list[Rule] = _read(root).get("Rules", [])
    if not 1 <= len(rules) <= _MOST_RULES:
        raise _malformed()
    for rule in rules:
        _check(rule)
    named = [rule["ID"] for rule in rules if rule.get("ID")]
    if len(set(named)) != len(named):
        raise RefusedError("InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule")
    return rules


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _read(element: Element) -> Any:
    name = _name(element)
    text = (element.text or "").strip()
    if name not in _CHILDREN:
        return _value(name, text)
    found: dict[str, Any] = {}
    for child in element:
        kept_as = _CHILDREN[name].get(_name(child))
        if kept_as is None:
            raise _malformed()
        if kept_as.endswith("*"):
            found.setdefault(kept_as[:-1], []).append(_read(child))
        elif kept_as in found:
            raise _malformed()
        else:
            found[kept_as] = _read(child)
    return found


def _value(name: str, text: str) -> str | int | bool:
    if name in _NUMBERS:
        if not text.lstrip("-").isdigit():
            raise _malformed()
        return int(text)
    if name == "ExpiredObjectDeleteMarker":
        return text.lower() == "true"
    if name == "Date":
        _check_midnight(text)
    return text


def _check_midnight(text: str) -> None:
    try:
        moment = _moment(text)
    except ValueError:
        raise _malformed() from None
    if moment % DAY_SECONDS:
        raise RefusedError("InvalidArgument", "'Date' must be at midnight GMT")


def _moment(text: str) -> float:
    parsed = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=datetime.UTC)).timestamp()


# ---- what AWS refuses

_ACTIONS = (
    "Transitions",
    "NoncurrentVersionTransitions",
    "Expiration",
    "NoncurrentVersionExpiration",
    "AbortIncompleteMultipartUpload",
)


def _check(rule: Rule) -> None:
    if rule.get("Status") not in ("Enabled", "Disabled") or ("Prefix" in rule) == ("Filter" in rule):
        raise _malformed()
    if len(rule.get("ID", "")) > 255:
        raise RefusedError("InvalidArgument", "ID length should not exceed allowed limit of 255")
    if not any(rule.get(action) for action in _ACTIONS):
        raise RefusedError("InvalidRequest", "At least one action needs to be specified in a rule.")
    if len(rule.get("Filter", {})) > 1:
        raise _malformed()
    if "Prefix" in rule:
        # the form that was before filters; it is kept, and read back, as the filter that says the same
        rule["Filter"] = {"Prefix": rule.pop("Prefix")}
    _check_sizes(rule)
    _check_transitions(rule)
    _check_expiration(rule)
    _check_noncurrent(rule)
    uploads = rule.get("AbortIncompleteMultipartUpload")
    if uploads is not None:
        if _tags(rule) or _sizes(rule) != (None, None):
            raise RefusedError(
                "InvalidRequest", "AbortIncompleteMultipartUpload cannot be specified with Tags or object sizes."
            )
        _check_positive("DaysAfterInitiation", "AbortIncompleteMultipartUpload", uploads.get("DaysAfterInitiation", 0))


def _check_positive(name: str, action: str, days: int) -> None:
    if days <= 0:
        raise RefusedError("InvalidArgument", f"'{name}' for {action} action must be a positive integer")


def _check_sizes(rule: Rule) -> None:
    above, below = _sizes(rule)
    if above is not None and below is not None and above >= below:
        raise RefusedError(
            "InvalidRequest", "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'"
        )


def _check_transitions(rule: Rule) -> None:
    steps = rule.get("Transitions", [])
    for step in steps:
        storage_class = step.get("StorageClass")
        if storage_class not in _CLASSES or ("Days" in step) == ("Date" in step):
            raise _malformed()
        if "Days" not in step:
            continue
        if step["Days"] < 0:
            raise RefusedError("InvalidArgument", "'Days' in Transition action must be nonnegative")
        _check_infrequent("Days", "Transition", storage_class, step["Days"])
    if len({step["StorageClass"] for step in steps}) != len(steps):
        raise RefusedError("InvalidRequest", "'StorageClass' must be different for 'Transition' actions in same 'Rule'")
    if len({"Days" in step for step in steps}) > 1:
        raise RefusedError("InvalidRequest", "Found mixed 'Date' and 'Days' based Transition actions in lifecycle rule")
    for early in steps:
        for late in steps:
            if early["StorageClass"] in _INFREQUENT_CLASSES and late["StorageClass"] in _ARCHIVE_CLASSES:
                _check_stay(early, late)


def _check_stay(early: dict[str, Any], late: dict[str, Any]) -> None:
    """What is in an infrequent class is paid for 30 days, so one rule may not archive it before."""
    if "Days" in early and late["Days"] < early["Days"] + _INFREQUENT_DAYS:
        raise RefusedError(
            "InvalidArgument",
            f"'Days' in the 'Transition' action for StorageClass '{late['StorageClass']}' must be {_INFREQUENT_DAYS} "
            f"days more than 'Days' in the 'Transition' action for StorageClass '{early['StorageClass']}'",
        )


def _check_infrequent(name: str, action: str, storage_class: str, days: int) -> None:
    if storage_class in _INFREQUENT_CLASSES and days < _INFREQUENT_DAYS:
        raise RefusedError(
            "InvalidArgument",
            f"'{name}' in {action} action must be greater than or equal to {_INFREQUENT_DAYS} "
            f"for storageClass '{storage_class}'",
        )


def _check_expiration(rule: Rule) -> None:
    expiration = rule.get("Expiration")
    if expiration is None:
        return
    if len(expiration) != 1:
        raise _malformed()
    if "ExpiredObjectDeleteMarker" in expiration and _tags(rule):
        raise RefusedError("InvalidRequest", "ExpiredObjectDeleteMarker cannot be specified with Tags.")
    if "Days" in expiration:
        _check_positive("Days", "Expiration", expiration["Days"])
    unit = "Days" if "Days" in expiration else "Date"
    for step in rule.get("Transitions", []):
        if unit in expiration and unit not in step:
            raise RefusedError(
                "InvalidRequest",
                "Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule",
            )
        if unit in expiration and expiration[unit] <= step[unit]:
            raise RefusedError(
                "InvalidArgument",
                f"'{unit}' in the Expiration action must be greater than '{unit}' in the Transition action",
            )


def _check_noncurrent(rule: Rule) -> None:
    steps = rule.get("NoncurrentVersionTransitions", [])
    expiration = rule.get("NoncurrentVersionExpiration")
    for step in steps:
        if step.get("StorageClass") not in _CLASSES or "NoncurrentDays" not in step:
            raise _malformed()
        _check_infrequent("NoncurrentDays", "NoncurrentVersionTransition", step["StorageClass"], step["NoncurrentDays"])
    if expiration is not None:
        if "NoncurrentDays" not in expiration:
            raise _malformed()
        _check_positive("NoncurrentDays", "NoncurrentVersionExpiration", expiration["NoncurrentDays"])
        if any(expiration["NoncurrentDays"] <= step["NoncurrentDays"] for step in steps):
            raise RefusedError(
                "InvalidArgument",
                "'NoncurrentDays' in the NoncurrentVersionExpiration action must be greater than "
                "'NoncurrentDays' in the NoncurrentVersionTransition action",
            )
    for step in (*steps, expiration or {}):
        newer = step.get("NewerNoncurrentVersions")
        if newer is not None and not 1 <= newer <= _MOST_NEWER_VERSIONS:
            raise RefusedError(
                "InvalidArgument", f"'NewerNoncurrentVersions' must be between 1 and {_MOST_NEWER_VERSIONS}"
            )


# ---- which objects a rule means


def _filter(rule: Rule) -> Mapping[str, Any]:
    found: Mapping[str, Any] = rule.get("Filter", {})
    inner: Mapping[str, Any] = found.get("And", found)
    return inner


def _tags(rule: Rule) -> dict[str, str]:
    wanted = _filter(rule)
    tags = [*wanted.get("Tags", []), *([wanted["Tag"]] if "Tag" in wanted else [])]
    return {tag.get("Key", ""): tag.get("Value", "") for tag in tags}


def _sizes(rule: Rule) -> tuple[int | None, int | None]:
    wanted = _filter(rule)
    return wanted.get("ObjectSizeGreaterThan"), wanted.get("ObjectSizeLessThan")


def means_key(rule: Rule, key: str) -> bool:
    """All that is known of an upload that is not complete, and of a delete marker."""
    return rule["Status"] == "Enabled" and key.startswith(_filter(rule).get("Prefix", ""))


@dataclass(frozen=True)
class Version:
    """What rules look at: one version of one object. `since` is when it was made, or stopped to be current."""

    key: str
    size_bytes: int
    storage_class: str
    tags: Mapping[str, str]
    since: float


def _means(rule: Rule, version: Version) -> bool:
    above, below = _sizes(rule)
    return (
        means_key(rule, version.key)
        and (above is None or version.size_bytes > above)
        and (below is None or version.size_bytes < below)
        and all(version.tags.get(name) == value for name, value in _tags(rule).items())
    )


# ---- when a rule acts


def midnight_after(since: float, days: int) -> float:
    """S3 adds the days and rounds up to the next day, midnight UTC."""
    return float((int(since + days * DAY_SECONDS) // DAY_SECONDS + 1) * DAY_SECONDS)


def _due_at(step: Mapping[str, Any], since: float) -> float:
    return midnight_after(since, step["Days"]) if "Days" in step else _moment(step["Date"])


def expiry(rules: Iterable[Rule], version: Version) -> tuple[float, str] | None:
    """When the current version expires and by which rule: the earliest one."""
    found = [
        (_due_at(rule["Expiration"], version.since), str(rule["ID"]))
        for rule in rules
        if rule.get("Expiration", {}).keys() & {"Days", "Date"} and _means(rule, version)
    ]
    return min(found, default=None)


def upload_end(rules: Iterable[Rule], key: str, started_at: float) -> tuple[float, str] | None:
    """When the parts of an upload that is not completed go, and by which rule."""
    found = [
        (midnight_after(started_at, rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]), str(rule["ID"]))
        for rule in rules
        if "AbortIncompleteMultipartUpload" in rule and means_key(rule, key)
    ]
    return min(found, default=None)


def is_marker_expired(rules: Iterable[Rule], key: str, since: float, now: float) -> bool:
    """A delete marker under which nothing lies goes by its own rule, or with what expires by age or date."""
    for rule in rules:
        expiration = rule.get("Expiration", {})
        if not means_key(rule, key) or _tags(rule) or _sizes(rule) != (None, None):
            continue
        if expiration.get("ExpiredObjectDeleteMarker"):
            return True
        if expiration.keys() & {"Days", "Date"} and _due_at(expiration, since) <= now:
            return True
    return False


def is_noncurrent_expired(rules: Iterable[Rule], version: Version, newer_noncurrent: int, now: float) -> bool:
    return any(
        midnight_after(version.since, rule["NoncurrentVersionExpiration"]["NoncurrentDays"]) <= now
        and newer_noncurrent >= rule["NoncurrentVersionExpiration"].get("NewerNoncurrentVersions", 0)
        for rule in rules
        if "NoncurrentVersionExpiration" in rule and _means(rule, version)
    )


def next_class(rules: Iterable[Rule], version: Version, now: float, smallest: str) -> str | None:
    """The coldest class that is due for a current version, None when it stays."""
    due = [
        (rule, step["StorageClass"])
        for rule in rules
        if _means(rule, version)
        for step in rule.get("Transitions", [])
        if _due_at(step, version.since) <= now
    ]
    return _coldest(due, version, smallest)


def next_noncurrent_class(
    rules: Iterable[Rule], version: Version, newer_noncurrent: int, now: float, smallest: str
) -> str | None:
    due = [
        (rule, step["StorageClass"])
        for rule in rules
        if _means(rule, version)
        for step in rule.get("NoncurrentVersionTransitions", [])
        if midnight_after(version.since, step["NoncurrentDays"]) <= now
        and newer_noncurrent >= step.get("NewerNoncurrentVersions", 0)
    ]
    return _coldest(due, version, smallest)


def _coldest(due: list[tuple[Rule, str]], version: Version, smallest: str) -> str | None:
    reachable = _COLDER.get(version.storage_class, ())
    found = [
        reachable.index(storage_class)
        for rule, storage_class in due
        if storage_class in reachable and _is_large_enough(rule, storage_class, version.size_bytes, smallest)
    ]
    return reachable[max(found)] if found else None


def _is_large_enough(rule: Rule, storage_class: str, size_bytes: int, smallest: str) -> bool:
    """A rule that names sizes decides by itself; otherwise what is too small to be worth it stays."""
    if _sizes(rule) != (None, None) or size_bytes >= SMALLEST_TRANSITION_BYTES:
        return True
    return smallest == VARIES_BY_CLASS and storage_class in _ARCHIVE_CLASSES

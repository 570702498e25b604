"""Patches: what a crawl offers for new fields, and what they make of a contract."""

from __future__ import annotations

from typing import Any

from eventlake.contract import Contract, ContractIndex, parse_contract
from eventlake.contract_draft import SeenSubtype
from eventlake.contract_patch import Patches, added_fields, draft_patches, with_patch
from eventlake.crawled_types import crawled_type
from eventlake.drift import CrawledSubtype, find_drift
from eventlake.event_json import parse_event
from tests.contract_builders import a_contract

LINES = {"type": "array", "items": {"type": "object", "properties": {"net": {"type": "number"}}}}
ORDER = a_contract({"lines": LINES})
BY_CRAWLER = {
    "description": "Seen by a crawler, which writes names in lower case, 2026-11-22; say here what it is.",
    "x-pii": "none",
}


def patched(columns: dict[str, str], *events: str, others: tuple[Contract, ...] = ()) -> Patches:
    crawled = CrawledSubtype("payment", "order", {name: crawled_type(text) for name, text in columns.items()})
    contracts = ContractIndex([ORDER, *others])
    sample = SeenSubtype()
    for event in events:
        sample.add("payment:order", parse_event(event))
    samples = {("payment", "order"): sample} if events else {}
    return draft_patches(find_drift([crawled], contracts), contracts, samples, "2026-11-22")


def fields_of(patches: Patches) -> dict[str, Any]:
    return dict(patches.by_contract["payment/order"]["properties"])


def test_a_patch_says_what_the_crawler_saw_and_is_of_one_subtype_only() -> None:
    refund = a_contract(key="payment/refund")
    patches = patched({"gift": "struct<to:string>"}, others=(refund,))
    assert list(patches.by_contract) == ["payment/order"]
    inner = {"type": "object", "properties": {"to": {"type": "string"}}}
    assert fields_of(patches) == {"gift": inner | BY_CRAWLER}


def test_lines_say_spelling_and_type_better() -> None:
    patches = patched(
        {"giftat": "string", "giftemail": "string", "days": "array<string>"},
        '{"giftAt":"2026-11-21T08:00:00Z","days":["2026-11-21"],"giftEmail":"a@example.com"}',
        '{"giftAt":"2026-11-22T08:00:00Z","days":["2026-11-22"]}',
    )
    fields = fields_of(patches)
    said = "Seen in 2 of 2 lines looked at, 2026-11-22; say here what it is."
    assert fields["giftAt"] == {"type": "string", "format": "date-time", "description": said, "x-pii": "none"}
    assert fields["days"]["items"] == {"type": "string", "format": "date"}
    assert (fields["giftEmail"]["x-pii"], "format" in fields["giftEmail"]) == ("personal", False)


def test_a_nested_field_is_patched_in_its_place() -> None:
    patches = patched({"lines": "array<struct<net:double,unitcode:int>>"}, '{"lines":[{"net":1,"unitCode":7}]}')
    patch = patches.by_contract["payment/order"]
    assert patch["properties"]["lines"]["items"]["properties"]["unitCode"]["type"] == "integer"
    assert added_fields(ORDER.schema, patch) == ["lines[].unitCode"]
    contract = parse_contract("payment/order", with_patch(ORDER.schema, patch))
    assert contract.field_at(("lines", "[]", "net")) == ORDER.field_at(("lines", "[]", "net"))
    assert contract.field_at(("lines", "[]", "unitCode")) is not None


def test_a_patch_only_adds() -> None:
    document = {"properties": {"gift": {"type": "string", "x-pii": "personal"}}}
    patch = {"properties": {"gift": {"type": "integer", "x-pii": "none"}, "tip": {"type": "integer"}}}
    assert with_patch(document, patch)["properties"] == document["properties"] | {"tip": {"type": "integer"}}
    assert added_fields(document, patch) == ["tip"]


def test_a_field_that_its_table_could_not_take_has_no_patch_and_says_why() -> None:
    refund = a_contract({"gift": {"type": "integer"}}, key="payment/refund")
    patches = patched({"gift": "string", "tip": "int", "a b": "int"}, others=(refund,))
    assert list(fields_of(patches)) == ["tip"]
    assert "gift is bigint and would become string" in patches.left_out["payment/order gift"]


def test_a_field_that_a_neighbour_has_is_of_its_type_and_as_protected() -> None:
    net = {"type": "number", "x-decimal": [12, 2], "minimum": 5}
    payer = {"type": "string", "x-pii": "personal", "x-protect": "hash", "description": "who paid"}
    at = {"type": "string", "format": "date"}
    refund = a_contract({"netAmount": net, "payer": payer, "at": at, "lines": LINES}, key="payment/refund")
    seen = "Seen in 1 of 1 lines looked at, 2026-11-22; as in payment/refund."
    seen_columns = {"netamount": "double", "payer": "string", "at": "string"}
    fields = fields_of(patched(seen_columns, '{"payer":"x","at":"today"}', others=(refund,)))
    assert "format" not in fields["at"]
    assert fields["payer"] == {"type": "string", "x-pii": "personal", "x-protect": "hash", "description": seen}
    # the crawler alone saw it, in lower case
    assert {name: fields["netAmount"][name] for name in ("type", "x-decimal")} == {
        "type": "number",
        "x-decimal": [12, 2],
    }
    assert "minimum" not in fields["netAmount"]
    # spelled otherwise it is another field, which no table can have beside the first
    other = patched({"netamount": "double"}, '{"NetAmount":1.5}', others=(refund,))
    assert "one spelling" in other.left_out["payment/order netamount"]


def test_a_name_without_a_contract_gets_a_drafted_one_if_the_table_can_take_it() -> None:
    contracts = ContractIndex([a_contract({"net": {"type": "integer"}}), a_contract({}, key="lesson/left")])
    samples = {}
    for event_type, subtype, net in (("payment", "tip", 1), ("payment", "fee", "x"), ("shop", "sale", 1)):
        samples[event_type, subtype] = SeenSubtype()
        samples[event_type, subtype].add(f"{event_type}:{subtype}:a", {"net": net})
    crawled = [CrawledSubtype(*pair, {}) for pair in samples]
    patches = draft_patches(find_drift(crawled, contracts), contracts, samples, "2026-11-22")
    # drafts of one type agree on a field: what does not fit the type's contracts takes its neighbour along
    assert sorted(patches.new_contracts) == ["shop/sale"]
    assert patches.new_contracts["shop/sale"]["x-event-names"] == ["shop:sale:a"]
    assert sorted(patches.left_out) == ["payment/fee", "payment/tip"]

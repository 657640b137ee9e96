from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from ledger_service.domain import errors, facts, ids, units
from ledger_service.domain.facts import OrderWord
from ledger_service.domain.lifecycle import Status
from tests.unit.domain.small import few

# ---- ids


def test_an_asset_carries_its_first_host_in_its_id() -> None:
    assert ids.asset_id("1/robot-7") == b"\x01" + keccak(b"robot-7")[1:]
    assert ids.asset_id("255/robot-7")[1:] == ids.asset_id("1/robot-7")[1:]


@pytest.mark.parametrize(
    "name",
    [
        "", "robot-7", "/robot-7", "1/", "0/robot-7", "256/robot-7", "01/robot-7", "-1/robot-7",
        "1/robot 7", "1/robot-7\n", "1/robot/7", "\uff11/robot-7", "²/robot-7", "1" * 5000 + "/x", "1/é",
        "1/" + "x" * 121, "1/.x", "1/\ud800",
    ],
)  # fmt: skip
def test_a_machine_has_one_name_only(name: str) -> None:
    with pytest.raises(errors.UnknownField, match="1/robot-7"):
        ids.asset_id(name)


@pytest.mark.parametrize("text", ["", "0" * 63, "0" * 65, "AB" * 32, "0" * 64 + "\n", " " + "0" * 63, None, 5, b"0" * 64])  # fmt: skip
def test_other_than_64_hex_digits_is_no_id(text: Any) -> None:
    with pytest.raises(errors.UnknownField, match="64 lower-case hex digits"):
        ids.parse32(text)


@pytest.mark.parametrize("text", ["", "0x", "00" * 20, "0x" + "0" * 39, "0x" + "g" * 40, None])
def test_other_than_an_address_is_refused(text: Any) -> None:
    with pytest.raises(errors.UnknownField, match="an address"):
        ids.parse_address(text)


def test_ids_and_addresses_are_read_as_they_are_written() -> None:
    address = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"  # of EIP-55

    assert ids.checksum(ids.parse_address(address.lower())) == address
    assert ids.parse32("0x" + "ab" * 32) == ids.parse32("ab" * 32) == b"\xab" * 32


# ---- units


@few
@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)))  # noqa: DTZ001  made UTC below
def test_times_are_read_as_they_are_written(moment: datetime) -> None:
    whole = moment.replace(microsecond=0, tzinfo=UTC)
    elsewhere = moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(hours=5, minutes=30)))

    assert units.parse_time(units.format_time(whole)) == whole
    assert units.format_time(elsewhere) == units.format_time(whole)


@pytest.mark.parametrize(
    "text",
    [
        "", "2026-11-24", "2026-11-24T09:00:00", "2026-11-24T09:00:00+00:00", "2026-11-24t09:00:00z",
        "2026-11-24T09:00:00.0Z", "2026-11-24T09:00:00Z\n", "2026-02-30T00:00:00Z", "0000-01-01T00:00:00Z",
        "2026-11-24T24:00:00Z", "2026-12-31T23:59:60Z", "٢٠٢٦-11-24T09:00:00Z", "12026-11-24T09:00:00Z",
    ],
)  # fmt: skip
def test_other_than_whole_seconds_of_utc_is_no_time(text: str) -> None:
    with pytest.raises(errors.UnknownField, match="found"):
        units.parse_time(text)


def test_a_quantity_is_exact() -> None:
    assert units.Quantity(2**53 - 1, -18, "m").decimal() == Decimal("0.009007199254740991")
    assert units.Quantity(-1, 18, "m").decimal() == -(10**18)
    quantity = units.Quantity(1, -5, "1")
    assert units.Quantity.from_json(quantity.as_json()) == quantity


# ---- facts


def test_a_word_is_taken_apart_at_its_edges() -> None:
    full = OrderWord.unpack(2**248 - 1 | 10 << 248)
    assert (full.approved, full.against) == (2**64 - 1, 2**64 - 1)
    assert (full.proposed_at, full.moved_at) == (2**40 - 1, 2**40 - 1)
    assert (full.attempt, full.outcome) == (2**24 - 1, 255)
    assert (full.was_emergency, full.was_contested) == (True, True)
    assert full.status is Status.CANCELLED
    assert OrderWord.unpack(0).status is Status.NONE
    for bit, name in [(0, "approved"), (64, "against"), (128, "proposed_at"), (168, "moved_at")]:
        assert getattr(OrderWord.unpack(1 << bit), name) == 1
    assert OrderWord.unpack(1 << 241).was_contested
    assert not OrderWord.unpack(1 << 241).was_emergency


@pytest.mark.parametrize("word", [11 << 248, 255 << 248, 1 << 256, -1])
def test_a_status_that_the_contract_has_not_is_refused(word: int) -> None:
    with pytest.raises(errors.BadAnswer, match="No such status"):
        OrderWord.unpack(word)


def test_places_sort_as_text_like_the_chain() -> None:
    marks = [(9, 1, 1), (10, 0, 0), (10, 0, 2), (10, 0, 10), (10, 3, 0), (10**6, 0, 0)]
    hash_, transaction = ids.BlockHash(b""), ids.TxHash(b"")
    found = [facts.Place(block, hash_, index, log, transaction).id for block, index, log in marks]

    assert found == sorted(found)
    assert len(set(found)) == len(found)

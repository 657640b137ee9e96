"""The Clock and Signer ports."""

from __future__ import annotations

from datetime import timedelta

import pytest
from eth_account import Account
from eth_hash.auto import keccak

from ledger_service import ports
from ledger_service.chain.keys import LocalSigner
from ledger_service.clock import SystemClock
from ledger_service.domain import ids
from ledger_service.domain.calls import Unsigned, Withdraw
from ledger_service.testing import FakeClock, MemorySigner
from ledger_service.testing.signer import write_call
from tests.conformance import rows as make

TO = ids.Address(b"\x0c" * 20)
FEES: dict[str, tuple[tuple[str, int], ...]] = {
    "legacy": (("gasPrice", 0),),
    "type 2": (("maxFeePerGas", 10**9), ("maxPriorityFeePerGas", 1)),
}


@pytest.mark.parametrize("clock", [SystemClock(), FakeClock()], ids=["system", "fake"])
async def test_a_clock_is_in_utc_and_goes_on_while_somebody_sleeps(clock: ports.Clock) -> None:
    before = clock.now()
    await clock.sleep(0.01)

    assert before.utcoffset() == timedelta(0)
    assert clock.now() - before >= timedelta(seconds=0.009)


@pytest.fixture(params=["local", "memory"])
def signers(request: pytest.FixtureRequest) -> tuple[ports.Signer, ports.Signer]:
    """Two keys of one kind."""
    if request.param == "memory":
        return MemorySigner("a"), MemorySigner("b")
    first, second = (LocalSigner(Account.from_key(keccak(name))) for name in (b"a", b"b"))
    return first, second


@pytest.mark.parametrize("fees", FEES)
def test_the_same_is_signed_the_same_and_anything_else_otherwise(
    signers: tuple[ports.Signer, ports.Signer], fees: str
) -> None:
    data = write_call(Withdraw(make.order(1).content))
    unsigned = Unsigned(1337, TO, data, 100_000, FEES[fees])
    signer, other = signers

    signed = signer.sign(unsigned, 7)

    assert signed == signer.sign(unsigned, 7)
    assert (signed.signer, signed.nonce) == (signer.address, 7)
    differing = {
        signed.hash,
        signer.sign(unsigned, 8).hash,
        other.sign(unsigned, 7).hash,
        signer.sign(Unsigned(1338, TO, data, 100_000, FEES[fees]), 7).hash,
        signer.sign(Unsigned(1337, TO, data, 100_001, FEES[fees]), 7).hash,
    }
    assert len(differing) == 5
    assert len(signer.address) == 20
    assert signer.address != other.address


def test_a_key_is_not_in_what_is_printed() -> None:
    key = keccak(b"a")

    shown = repr(LocalSigner(Account.from_key(key)))

    assert key.hex() not in shown
    assert shown.startswith("LocalSigner(0x")


def test_what_is_signed_recovers_to_its_signer() -> None:
    signer = LocalSigner(Account.from_key(keccak(b"a")))
    for fees in FEES.values():
        signed = signer.sign(Unsigned(1337, TO, b"\x01", 100_000, fees), 3)
        recovered = Account.recover_transaction(signed.raw)
        assert ids.parse_address(recovered) == signer.address
        assert keccak(signed.raw) == signed.hash

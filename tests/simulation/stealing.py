"""Another program that uses the same key."""

from __future__ import annotations

from ledger_service.domain.calls import Unsigned
from ledger_service.testing.ledger import CHAIN_ID, GAS, MemoryLedger
from ledger_service.testing.signer import MemorySigner, decode


def steal(ledger: MemoryLedger, signer: MemorySigner) -> bool:
    """Let the key move nothing to itself with its next nonce, in place of what waits there."""
    nonce = ledger._chain[-1].nonces.get(signer.address, 0)
    fees = (("gasPrice", max(ledger.price, ledger.least_price)),)
    unsigned = Unsigned(CHAIN_ID, signer.address, b"", min(GAS, 21_000), fees)
    raw = signer.sign(unsigned, nonce).raw
    for waiting in list(ledger._pool.values()):
        if (waiting.signer, waiting.nonce) == (signer.address, nonce):
            del ledger._pool[waiting.hash]
    tx = decode(raw)
    ledger._pool = {tx.hash: tx, **ledger._pool}
    return True

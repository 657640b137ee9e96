"""What nodes say when they do not take a transaction, mapped to a closed vocabulary.

One table; geth and Besu and GoQuorum put numbers into their texts, so texts are matched by what
they contain, lower case. The recorded texts that the lines stand for are in their comments.
"""

from __future__ import annotations

from ledger_service.chain.rpc import RpcError
from ledger_service.domain.calls import Sent

_TABLE: tuple[tuple[str, Sent], ...] = (
    # geth "already known"; Besu -32000 "Known transaction"; GoQuorum "known transaction: 0x.."
    ("already known", Sent.KNOWN),
    ("known transaction", Sent.KNOWN),
    # geth "nonce too low: next nonce 1, tx nonce 0"; Besu -32001 "Nonce too low"
    ("nonce too low", Sent.NONCE_USED),
    # Besu -32000 "Transaction nonce is too distant from current sender nonce"
    ("too distant", Sent.RETRY),
    ("nonce too high", Sent.RETRY),
    ("nonce too far", Sent.RETRY),
    # geth "txpool is full"; Besu "Transaction pool is full"
    ("pool is full", Sent.RETRY),
    ("txpool full", Sent.RETRY),
    ("limit exceeded", Sent.RETRY),
    # geth "replacement transaction underpriced"; Besu "Replacement transaction underpriced"
    ("underpriced", Sent.UNDERPRICED),
    # geth "transaction gas price below minimum"; Besu -32009 "Gas price below configured minimum"
    ("price below", Sent.UNDERPRICED),
    ("fee cap less than block base fee", Sent.UNDERPRICED),
    ("max fee per gas less than block base fee", Sent.UNDERPRICED),
    # geth "insufficient funds for gas * price + value"; Besu -32004 "Upfront cost exceeds account
    # balance": money may still come
    ("insufficient funds", Sent.RETRY),
    ("upfront cost exceeds", Sent.RETRY),
)


def outcome_of(error: RpcError) -> Sent:
    """Return what a refused broadcast means. Whatever is not in the table is final."""
    text = error.message.lower()
    return next((sent for part, sent in _TABLE if part in text), Sent.REFUSED)


#: Best first: one node that took it is enough.
RANK = (
    Sent.ACCEPTED,
    Sent.KNOWN,
    Sent.NONCE_USED,
    Sent.RETRY,
    Sent.UNDERPRICED,
    Sent.REFUSED,
)


def best(outcomes: list[Sent]) -> Sent:
    """Return the best of several nodes' outcomes."""
    return min(outcomes, key=RANK.index)

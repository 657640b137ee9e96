"""What nodes say when they do not take a transaction: a closed vocabulary, and what follows from each word.

One table of texts; geth and Besu and GoQuorum put numbers into theirs, so texts are matched by what
they contain, lower case. The recorded texts that the lines stand for are in their comments.
"""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

import structlog

from ledger_service.chain.rpc import RpcError
from ledger_service.domain.calls import Sent

log = structlog.get_logger()


class Failure(StrEnum):
    """Why a node did not take a transaction."""

    KNOWN = "known"  #: these bytes are in its pool
    NONCE_TOO_LOW = "nonce too low"  #: the nonce is mined: by these bytes or by others
    NONCE_TOO_HIGH = "nonce too high"  #: too far from the nonce that is next
    UNDERPRICED = "underpriced"  #: too low a fee, for the node or for a nonce that is held
    POOL_FULL = "pool full"  #: no room, now
    NO_FUNDS = "no funds"  #: the key cannot pay for it, now
    TOO_MUCH_GAS = "too much gas"  #: its limit is beyond a block's
    BUSY = "busy"  #: the node is in trouble of its own or takes no more requests, now
    INVALID = "invalid"  #: no bytes of a transaction of this chain
    UNKNOWN = "unknown"  #: nothing in the table: perhaps the bytes', perhaps the node's own trouble


_TABLE: tuple[tuple[str, Failure], ...] = (
    # geth "already known"; Besu -32000 "Known transaction"; GoQuorum "known transaction: 0x.."
    ("already known", Failure.KNOWN),
    ("known transaction", Failure.KNOWN),
    # geth "nonce too low: next nonce 1, tx nonce 0"; Besu -32001 "Nonce too low"
    ("nonce too low", Failure.NONCE_TOO_LOW),
    # Besu -32000 "Transaction nonce is too distant from current sender nonce"
    ("too distant", Failure.NONCE_TOO_HIGH),
    ("nonce too high", Failure.NONCE_TOO_HIGH),
    ("nonce too far", Failure.NONCE_TOO_HIGH),
    # geth "txpool is full"; Besu "Transaction pool is full"
    ("pool is full", Failure.POOL_FULL),
    ("txpool full", Failure.POOL_FULL),
    # geth "exceeds block gas limit"; Besu -32005 "Transaction gas limit exceeds block gas limit"
    ("exceeds block gas limit", Failure.TOO_MUCH_GAS),
    ("limit exceeded", Failure.BUSY),
    ("too many requests", Failure.BUSY),
    ("rate limit", Failure.BUSY),
    ("timed out", Failure.BUSY),
    ("timeout", Failure.BUSY),
    ("internal error", Failure.BUSY),
    ("unauthorized", Failure.BUSY),
    # geth while it stops: "database closed"
    ("database closed", Failure.BUSY),
    # geth "replacement transaction underpriced"; Besu "Replacement transaction underpriced"
    ("underpriced", Failure.UNDERPRICED),
    # geth "transaction gas price below minimum"; Besu -32009 "Gas price below configured minimum"
    ("price below", Failure.UNDERPRICED),
    ("fee cap less than block base fee", Failure.UNDERPRICED),
    ("max fee per gas less than block base fee", Failure.UNDERPRICED),
    # geth "insufficient funds for gas * price + value"; Besu -32004 "Upfront cost exceeds account
    # balance": money may still come
    ("insufficient funds", Failure.NO_FUNDS),
    ("upfront cost exceeds", Failure.NO_FUNDS),
    # Besu "Intrinsic gas exceeds gas limit"; geth "intrinsic gas too low"
    ("intrinsic gas", Failure.INVALID),
    # Besu "Wrong chainId"; geth "invalid chain id for signer"
    ("wrong chainid", Failure.INVALID),
    ("invalid chain id", Failure.INVALID),
    ("invalid params", Failure.INVALID),
    # geth "invalid argument 0: json: cannot unmarshal hex string .."
    ("invalid argument", Failure.INVALID),
    # Besu "Max priority fee per gas exceeds max fee per gas"; geth ".. higher than max fee per gas"
    ("max priority fee per gas", Failure.INVALID),
    # GoQuorum "Gas price not 0": its network takes no fees
    ("gas price not 0", Failure.INVALID),
    ("invalid sender", Failure.INVALID),
    # geth "only replay-protected (EIP-155) transactions allowed over RPC"
    ("only replay-protected", Failure.INVALID),
    ("rlp: ", Failure.INVALID),
    # geth "invalid transaction v, r, s values"
    ("invalid transaction", Failure.INVALID),
    ("transaction type not supported", Failure.INVALID),
    # geth "typed transaction too short"; GoQuorum "empty typed transaction bytes"
    ("typed transaction", Failure.INVALID),
    ("oversized data", Failure.INVALID),
)
#: Where no text says more, by EIP-1474: unavailable, limit exceeded, internal error; invalid params.
_CODES = {
    -32002: Failure.BUSY,
    -32005: Failure.BUSY,
    -32603: Failure.BUSY,
    -32602: Failure.INVALID,
}


def failure_of(error: RpcError) -> Failure:
    """Return why a node refused a broadcast."""
    text = error.message.lower()
    by_code = _CODES.get(error.code, Failure.UNKNOWN)
    return next((failure for part, failure in _TABLE if part in text), by_code)


def meaning(failure: Failure) -> Sent:
    """Return what is to be done about it."""
    match failure:
        case Failure.KNOWN:
            return Sent.KNOWN
        case Failure.NONCE_TOO_LOW:
            return Sent.NONCE_USED
        case Failure.NONCE_TOO_HIGH | Failure.POOL_FULL | Failure.NO_FUNDS | Failure.BUSY:
            return Sent.RETRY
        case Failure.UNDERPRICED:
            return Sent.UNDERPRICED
        case Failure.TOO_MUCH_GAS | Failure.INVALID:
            return Sent.REFUSED
        case Failure.UNKNOWN:
            return Sent.UNCLEAR
        case _:
            assert_never(failure)


def outcome_of(error: RpcError) -> Sent:
    """Return what a refused broadcast means. What is not in the table is logged with its text."""
    failure = failure_of(error)
    if failure is Failure.UNKNOWN:
        log.error("a refusal that is not known", code=error.code, text=error.message[:200])
    return meaning(failure)


#: Best first: one node that took it is enough.
RANK = (
    Sent.ACCEPTED,
    Sent.KNOWN,
    Sent.NONCE_USED,
    Sent.RETRY,
    Sent.UNDERPRICED,
    Sent.UNCLEAR,
    Sent.REFUSED,
)


def best(outcomes: list[Sent]) -> Sent:
    """Return the best of several nodes' outcomes."""
    return min(outcomes, key=RANK.index)

"""What can be asked of the orders contract, and what a node can answer, as closed vocabularies."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ledger_service.domain import ids
from ledger_service.domain.lifecycle import Outcome
from ledger_service.domain.order import Content


@dataclass(frozen=True, slots=True)
class Propose:
    """Propose one order, or a batch (2 to 64)."""

    contents: tuple[Content, ...]


@dataclass(frozen=True, slots=True)
class Approve:
    """Approve one order, or a batch; `seats` and `results` go with `contents`, one each."""

    contents: tuple[Content, ...]
    seats: tuple[int, ...]
    results: tuple[ids.ResultDigest, ...]


@dataclass(frozen=True, slots=True)
class Refuse:
    """Refuse one order; `reason` as in `result.Reason`, `detail` a 32-byte digest."""

    content: Content
    seat: int
    reason: int
    detail: bytes


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take an open order back (its builder)."""

    content: Content


@dataclass(frozen=True, slots=True)
class Expire:
    """Close an open order whose deadline passed (anybody)."""

    content: Content


@dataclass(frozen=True, slots=True)
class ProposeEmergency:
    """Act first, ratify later (the safety authority's governance key)."""

    content: Content
    reason: bytes


@dataclass(frozen=True, slots=True)
class Escalate:
    """Make an open order an emergency (the safety authority's governance key)."""

    content: Content
    reason: bytes


@dataclass(frozen=True, slots=True)
class Contest:
    """Contest an emergency that was not ratified in time (anybody)."""

    content: Content


@dataclass(frozen=True, slots=True)
class Complete:
    """Say what came of the work (the host's verdict key); `close_out` is a 32-byte digest."""

    content: Content
    outcome: Outcome
    close_out: bytes


@dataclass(frozen=True, slots=True)
class Cancel:
    """Vote to cancel a validated order (every seat)."""

    content: Content
    seat: int


Call = (
    Propose
    | Approve
    | Refuse
    | Withdraw
    | Expire
    | ProposeEmergency
    | Escalate
    | Contest
    | Complete
    | Cancel
)


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A transaction but for its nonce. `fees` are the fields that this network wants (wei)."""

    chain_id: int
    to: ids.Address | None
    data: bytes
    gas: int
    fees: tuple[tuple[str, int], ...]
    value: int = 0


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed transaction: its raw bytes, hash, signer and nonce."""

    raw: bytes
    hash: ids.TxHash
    signer: ids.Address
    nonce: int


class Sent(StrEnum):
    """What became of a broadcast: decides whether to wait, retry, or give up."""

    ACCEPTED = "accepted"  #: at least one node has it in its pool
    KNOWN = "known"  #: already there (or mined): as good as accepted
    NONCE_USED = "nonce used"  #: this nonce is mined: look for the receipt, else reconcile
    RETRY = "retry"  #: pool full, nonce too distant, node unreachable: send the same bytes later
    UNDERPRICED = "underpriced"  #: same nonce with higher fee is needed
    UNCLEAR = "unclear"  #: not taken, in words that are not known: the bytes may be right
    REFUSED = "refused"  #: never valid (wrong chain, bad signature, too large)


#: What a node says that will not take the bytes as they are. Others are signed if it stays so.
REFUSALS = frozenset({Sent.REFUSED, Sent.UNDERPRICED, Sent.UNCLEAR})
#: After which of them the nonce is used for nothing, because other fees would not help.
HOPELESS = frozenset({Sent.REFUSED, Sent.UNCLEAR})


@dataclass(frozen=True, slots=True)
class Receipt:
    """A mined transaction. Success is read from events; status 0 says only that it reverted."""

    hash: ids.TxHash
    block: int
    block_hash: ids.BlockHash
    succeeded: bool
    gas_used: int

"""The life of an order. Numbers are the contract's and only rise; a state never goes back.

    (Sealed -> Anchoring | Failed)                                     off chain, per evidence
    None -> Proposed -> Validated | Refused | Expired | Withdrawn | Emergency
    None -> Emergency -> Ratified | Contested
    Validated | Ratified | Contested -> Completed;  Validated | Ratified -> Cancelled

The table is compared with the contract by a test.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

from ledger_service.domain import errors


class Status(IntEnum):
    """State of an order on chain; the highest byte of its word."""

    NONE = 0
    PROPOSED = 1
    EMERGENCY = 2
    VALIDATED = 3
    RATIFIED = 4
    REFUSED = 5
    EXPIRED = 6
    WITHDRAWN = 7
    CONTESTED = 8
    COMPLETED = 9
    CANCELLED = 10

    @property
    def title(self) -> str:
        """Return the name as people read it: `Validated`."""
        return self.name.capitalize()

    @property
    def told(self) -> str:
        """Return what the message of an error shows: the name, not the number."""
        return self.title


class Stage(StrEnum):
    """State of one piece of evidence before an order of it is on chain."""

    SEALED = "Sealed"
    ANCHORING = "Anchoring"
    FAILED = "Failed"


class Outcome(IntEnum):
    """What came of the work, said at completion."""

    CURED = 1
    NOT_CURED = 2
    FALSE_ALARM = 3
    NOT_CARRIED_OUT = 4


MOVES: dict[Status, frozenset[Status]] = {
    Status.NONE: frozenset({Status.PROPOSED, Status.EMERGENCY}),
    Status.PROPOSED: frozenset(
        {
            Status.EMERGENCY,
            Status.VALIDATED,
            Status.REFUSED,
            Status.EXPIRED,
            Status.WITHDRAWN,
        }
    ),
    Status.EMERGENCY: frozenset({Status.RATIFIED, Status.CONTESTED}),
    Status.VALIDATED: frozenset({Status.COMPLETED, Status.CANCELLED}),
    Status.RATIFIED: frozenset({Status.COMPLETED, Status.CANCELLED}),
    Status.CONTESTED: frozenset({Status.COMPLETED}),
    Status.REFUSED: frozenset(),
    Status.EXPIRED: frozenset(),
    Status.WITHDRAWN: frozenset(),
    Status.COMPLETED: frozenset(),
    Status.CANCELLED: frozenset(),
}

#: A new attempt for the same evidence may follow these.
MAY_TRY_AGAIN = frozenset({Status.REFUSED, Status.EXPIRED, Status.WITHDRAWN})
#: Verdicts reached an end.
SETTLED = frozenset(Status) - {Status.NONE, Status.PROPOSED, Status.EMERGENCY}
#: Only these release money.
RELEASES_PURCHASE = frozenset({Status.VALIDATED, Status.RATIFIED})


def check_move(present: Status, wanted: Status) -> None:
    """Raise IllegalMove unless the table has the move."""
    if wanted not in MOVES[present]:
        raise errors.IllegalMove(found=present.title, expected=wanted.title)


def rejected(why: str, found: int, expected: int) -> errors.CallReverted:
    """Return the error that a call ends with which the contract rejects; states have names in it."""
    if why != "State":
        return errors.CallReverted(f"{why}.", why=why, found=found, expected=expected)
    return errors.CallReverted(
        "The order's state is another.", why=why, found=_status(found), expected=_status(expected)
    )


def _status(number: int) -> int:
    """Return the status of that number; the number itself if a node told one that there is not."""
    return next((status for status in Status if status == number), number)

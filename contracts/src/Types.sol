// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The words that both contracts share: states, reasons, packed values.

/// @notice State of an order. Numbers rise with every move, so a state never goes back.
enum Status {
    None,
    Proposed,
    Emergency,
    Validated,
    Ratified,
    Refused,
    Expired,
    Withdrawn,
    Contested,
    Completed,
    Cancelled
}

/// @notice Why a call is rejected (single) or an item skipped (batch).
enum Why {
    None,
    State, // found: status, expected: a status from which it may be called
    Caller, // found: who called, expected: who may
    Seat, // found: organisation of the key, expected: organisation of the seat
    Voted, // this seat already said so
    Late, // found: now, expected: before
    TooFar, // found: deadline, expected: at most
    Version, // found: life of the asset version, expected: Live
    Detector, // found: life of the detector, expected: Live
    Held, // found: the order that holds the evidence, expected: its status
    Attempt, // found: attempt, expected
    Cap, // found: cost of emergencies, expected: at most
    Count, // found: number of emergencies, expected: at most
    Early, // found: now, expected: at least
    Outcome, // found: outcome, expected: at most
    Member, // found: seats whose organisation still belongs, expected: all seats
    Newest // found: this contract, expected: the newest orders contract

}

/// @notice Life of an asset version, a detector, a device: it never comes back.
enum Life {
    Unknown,
    Live,
    Ended
}

/// @notice Role of an address; one for ever.
enum Role {
    None,
    Verdict,
    Governance,
    Recovery,
    Builder,
    Retired
}

/// @notice What a motion is about.
enum Kind {
    AddOrganisation,
    Expel,
    RegisterVersion,
    AddDetector,
    RevokeDetector,
    AddDevice,
    RevokeDevice,
    AddBuilder,
    RemoveBuilder,
    Recover,
    ListOrders
}

/// @notice All that an order is held to. `cost` in minor units of the consortium's one currency, `deadline` in seconds.
struct Content {
    bytes32 evidence;
    bytes32 datasetRoot;
    bytes32 orderDigest;
    bytes32 assetVersion;
    bytes32 detector;
    address builder;
    uint64 cost;
    uint40 deadline;
    uint24 attempt;
}

/// @notice One word about an order.
/// approved 64 | against 64 | proposedAt 40 | movedAt 40 | attempt 24 | outcome 8 | flags 8 | status 8, low bits first.
/// `against` are refusals while open, cancellations once approved. Flags: was an emergency 1, was contested 2.
type Word is uint256;

/// @notice What the consortium says about a version, a detector, a key and a seat, in one word.
/// life 8 | seats 8 | host 8 | safety 8 | ratifyPeriod 32 | emergencyCap 64 | emergencyMax 16 | role 8 | organisation 8 | seated 8 | detector 8.
type Standing is uint256;

using WordLib for Word global;
using StandingLib for Standing global;

/// @title Reading and writing an order's word.
library WordLib {
    uint256 private constant MOVED_AT = uint256(type(uint40).max) << 168;
    uint256 private constant STATUS = uint256(0xff) << 248;

    /// @return Where the order is.
    function status(Word w) internal pure returns (Status) {
        return Status(Word.unwrap(w) >> 248);
    }

    /// @return One bit per seat that approved.
    function approved(Word w) internal pure returns (uint256) {
        return uint64(Word.unwrap(w));
    }

    /// @return One bit per seat that refused, or wants to cancel.
    function against(Word w) internal pure returns (uint256) {
        return uint64(Word.unwrap(w) >> 64);
    }

    /// @return Block time of the last move, seconds.
    function movedAt(Word w) internal pure returns (uint256) {
        return uint40(Word.unwrap(w) >> 168);
    }

    /// @return Which attempt for its evidence this is, from 1.
    function attempt(Word w) internal pure returns (uint256) {
        return uint24(Word.unwrap(w) >> 208);
    }

    /// @return What came of the work.
    function outcome(Word w) internal pure returns (uint256) {
        return uint8(Word.unwrap(w) >> 232);
    }

    /// @return Whether it was ever contested.
    function contested(Word w) internal pure returns (bool) {
        return (Word.unwrap(w) >> 241) & 1 != 0;
    }

    /// @return The word with the seat's approval.
    function approve(Word w, uint256 seat) internal pure returns (Word) {
        return Word.wrap(Word.unwrap(w) | (1 << seat));
    }

    /// @return The word with the seat's refusal; its approval is taken back.
    function refuse(Word w, uint256 seat) internal pure returns (Word) {
        return Word.wrap((Word.unwrap(w) & ~(uint256(1) << seat)) | (1 << (64 + seat)));
    }

    /// @return The word with the seat's wish to cancel; the approvals stay.
    function voteCancel(Word w, uint256 seat) internal pure returns (Word) {
        return Word.wrap(Word.unwrap(w) | (1 << (64 + seat)));
    }

    /// @return The word of a proposal made now; verdicts that came before stay.
    function open(Word w, uint256 attempt_) internal view returns (Word) {
        uint256 fields = (block.timestamp << 128) | (block.timestamp << 168) | (attempt_ << 208);
        return Word.wrap(Word.unwrap(w) | fields | (uint256(Status.Proposed) << 248));
    }

    /// @return The word moved to a state, now.
    function move(Word w, Status to) internal view returns (Word) {
        uint256 rest = Word.unwrap(w) & ~(MOVED_AT | STATUS);
        return Word.wrap(rest | (block.timestamp << 168) | (uint256(to) << 248));
    }

    /// @return The word marked as an emergency.
    function markEmergency(Word w) internal pure returns (Word) {
        return Word.wrap(Word.unwrap(w) | (1 << 240));
    }

    /// @return The word marked as contested.
    function markContested(Word w) internal pure returns (Word) {
        return Word.wrap(Word.unwrap(w) | (1 << 241));
    }

    /// @return The word with what came of the work.
    function withOutcome(Word w, uint8 outcome_) internal pure returns (Word) {
        return Word.wrap(Word.unwrap(w) | (uint256(outcome_) << 232));
    }
}

/// @title Reading what the consortium says.
library StandingLib {
    /// @return Life of the asset version.
    function life(Standing s) internal pure returns (Life) {
        return Life(uint8(Standing.unwrap(s)));
    }

    /// @return One bit per seat.
    function full(Standing s) internal pure returns (uint256) {
        return (uint256(1) << uint8(Standing.unwrap(s) >> 8)) - 1;
    }

    /// @return Number of seats.
    function seats(Standing s) internal pure returns (uint256) {
        return uint8(Standing.unwrap(s) >> 8);
    }

    /// @return Organisation that is the safety authority, 0 if none.
    function safety(Standing s) internal pure returns (uint256) {
        return uint8(Standing.unwrap(s) >> 24);
    }

    /// @return Seconds in which an emergency must be ratified.
    function ratifyPeriod(Standing s) internal pure returns (uint256) {
        return uint32(Standing.unwrap(s) >> 32);
    }

    /// @return Most that open and contested emergencies may cost together.
    function cap(Standing s) internal pure returns (uint256) {
        return uint64(Standing.unwrap(s) >> 64);
    }

    /// @return Most emergencies that may be open or contested.
    function max(Standing s) internal pure returns (uint256) {
        return uint16(Standing.unwrap(s) >> 128);
    }

    /// @return Role of the key.
    function role(Standing s) internal pure returns (Role) {
        return Role(uint8(Standing.unwrap(s) >> 144));
    }

    /// @return Organisation of the key, 0 if none.
    function organisation(Standing s) internal pure returns (uint256) {
        return uint8(Standing.unwrap(s) >> 152);
    }

    /// @return Organisation of the seat, 0 if there is no such seat.
    function seated(Standing s) internal pure returns (uint256) {
        return uint8(Standing.unwrap(s) >> 160);
    }

    /// @return Life of the detector.
    function detector(Standing s) internal pure returns (Life) {
        return Life(uint8(Standing.unwrap(s) >> 168));
    }
}

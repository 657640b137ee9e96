// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {OrderBase} from "./OrderBase.sol";
import {Content, Life, Role, Standing, Status, Why, Word} from "./Types.sol";

/// @title The life of an order.
/// @notice Verdicts commute with the proposal and with each other: whichever call completes a set settles the order.
abstract contract OrderRules is OrderBase {
    // ---------------------------------------------------------------- propose

    /// @notice Propose an order (its builder). Emits {Proposed}, and {Moved} if verdicts were there before.
    function propose(Content calldata c) external {
        bytes32 order = idOf(c);
        (Why why, uint256 found, uint256 expected) = _propose(order, c);
        _must(order, why, found, expected);
    }

    /// @notice Propose up to 64 orders; those that do not apply are skipped.
    function proposeBatch(Content[] calldata cs) external {
        _checkBatch(cs.length, cs.length);
        for (uint256 i = 0; i < cs.length; ++i) {
            bytes32 order = idOf(cs[i]);
            (Why why, uint256 found, uint256 expected) = _propose(order, cs[i]);
            _note(order, why, found, expected);
        }
    }

    /// @notice Act first, ratify later (the safety authority's governance key, which is the builder then), under the cap.
    function proposeEmergency(Content calldata c, bytes32 reason) external {
        bytes32 order = idOf(c);
        Standing s = _standing(c.assetVersion, c.detector, msg.sender, NO_SEAT);
        (bytes32 asset, address newest) = _grounds(c.assetVersion);
        (Why why, uint256 found, uint256 expected) = _checkSafety(s);
        if (why == Why.None) (why, found, expected) = _checkOpen(word[order], c, s, asset, newest);
        _must(order, why, found, expected);
        _raise(order, _enter(order, c, asset), c, s, reason);
    }

    function _propose(bytes32 order, Content calldata c) private returns (Why why, uint256 found, uint256 expected) {
        Standing s = _standing(c.assetVersion, c.detector, msg.sender, NO_SEAT);
        if (s.role() != Role.Builder) return (Why.Caller, uint256(s.role()), uint256(Role.Builder));
        (bytes32 asset, address newest) = _grounds(c.assetVersion);
        (why, found, expected) = _checkOpen(word[order], c, s, asset, newest);
        if (why == Why.None) word[order] = _settle(order, _enter(order, c, asset), c, s);
    }

    /// @dev What a proposal of either kind needs.
    function _checkOpen(Word w, Content calldata c, Standing s, bytes32 asset, address newest)
        private
        view
        returns (Why why, uint256 found, uint256 expected)
    {
        if (w.status() != Status.None) return (Why.State, uint256(w.status()), uint256(Status.None));
        if (msg.sender != c.builder) return (Why.Caller, uint160(msg.sender), uint160(c.builder));
        if (newest != address(this)) return (Why.Newest, uint160(address(this)), uint160(newest));
        (why, found, expected) = _checkLive(c, s);
        if (why == Why.None) (why, found, expected) = _checkFree(c, asset);
        if (why == Why.None) (why, found, expected) = _checkWhole(w.open(c.attempt), c, s);
    }

    /// @dev Version and detector live, deadline ahead and not too far.
    function _checkLive(Content calldata c, Standing s) private view returns (Why, uint256, uint256) {
        if (block.timestamp >= c.deadline) return (Why.Late, block.timestamp, c.deadline);
        if (c.deadline > block.timestamp + HORIZON) return (Why.TooFar, c.deadline, block.timestamp + HORIZON);
        if (s.life() != Life.Live) return (Why.Version, uint256(s.life()), uint256(Life.Live));
        if (s.detector() != Life.Live) return (Why.Detector, uint256(s.detector()), uint256(Life.Live));
        return (Why.None, 0, 0);
    }

    /// @dev One live order per evidence of an asset, numbered attempts.
    function _checkFree(Content calldata c, bytes32 asset) private view returns (Why, uint256, uint256) {
        (bytes32 held, Word last) = lastOf(asset, c.evidence);
        if (held != 0 && !_mayTryAgain(last)) return (Why.Held, uint256(held), uint256(last.status()));
        if (c.attempt != last.attempt() + 1) return (Why.Attempt, c.attempt, last.attempt() + 1);
        return (Why.None, 0, 0);
    }

    /// @dev After Refused, Expired, Withdrawn; or after a contested emergency that was not carried out.
    function _mayTryAgain(Word last) private pure returns (bool) {
        Status status = last.status();
        if (status == Status.Completed) return last.contested() && last.outcome() == NOT_CARRIED_OUT;
        return status == Status.Refused || status == Status.Expired || status == Status.Withdrawn;
    }

    /// @return The word of the order, proposed now; the caller stores it.
    function _enter(bytes32 order, Content calldata c, bytes32 asset) private returns (Word) {
        _latest[asset][c.evidence] = order;
        emit Proposed(order, c.evidence, c.assetVersion, c);
        return word[order].open(c.attempt);
    }

    // ---------------------------------------------------------------- verdicts

    /// @notice Approve by the seat's verdict key, before or after the proposal. Emits {Approved}, and {Moved} if it settles.
    function approve(Content calldata c, uint256 seat, bytes32 result) external {
        bytes32 order = idOf(c);
        (Why why, uint256 found, uint256 expected) = _approve(order, c, seat, result);
        _must(order, why, found, expected);
    }

    /// @notice Approve up to 64 orders; those that do not apply are skipped.
    function approveBatch(Content[] calldata cs, uint256[] calldata seats, bytes32[] calldata results) external {
        _checkBatch(cs.length, seats.length);
        _checkBatch(cs.length, results.length);
        for (uint256 i = 0; i < cs.length; ++i) {
            bytes32 order = idOf(cs[i]);
            (Why why, uint256 found, uint256 expected) = _approve(order, cs[i], seats[i], results[i]);
            _note(order, why, found, expected);
        }
    }

    /// @notice Refuse by the seat's verdict key, also what it approved, until the order is settled.
    function refuse(Content calldata c, uint256 seat, uint16 reason, bytes32 detail) external {
        bytes32 order = idOf(c);
        (Why why, uint256 found, uint256 expected) = _refuse(order, c, seat, reason, detail);
        _must(order, why, found, expected);
    }

    /// @notice Refuse up to 64 orders; those that do not apply are skipped.
    function refuseBatch(
        Content[] calldata cs,
        uint256[] calldata seats,
        uint16[] calldata reasons,
        bytes32[] calldata details
    ) external {
        _checkBatch(cs.length, seats.length);
        _checkBatch(cs.length, reasons.length);
        _checkBatch(cs.length, details.length);
        for (uint256 i = 0; i < cs.length; ++i) {
            bytes32 order = idOf(cs[i]);
            (Why why, uint256 found, uint256 expected) = _refuse(order, cs[i], seats[i], reasons[i], details[i]);
            _note(order, why, found, expected);
        }
    }

    function _approve(bytes32 order, Content calldata c, uint256 seat, bytes32 result)
        private
        returns (Why why, uint256 found, uint256 expected)
    {
        Word w = word[order];
        Standing s = _standing(c.assetVersion, c.detector, msg.sender, seat);
        (why, found, expected) = _checkVerdict(w, s, seat);
        if (why != Why.None) return (why, found, expected);
        if ((w.approved() | w.against()) & (1 << seat) != 0) return (Why.Voted, w.against() & (1 << seat), 0);
        if (w.status() != Status.Emergency) (why, found, expected) = _checkLive(c, s);
        else (why, found, expected) = _checkBefore(_ratifyBy(w, s));
        if (why != Why.None) return (why, found, expected);
        w = w.approve(seat);
        (why, found, expected) = _checkWhole(w, c, s);
        if (why != Why.None) return (why, found, expected);
        emit Approved(order, msg.sender, s.organisation(), seat, result);
        word[order] = _settle(order, w, c, s);
    }

    function _refuse(bytes32 order, Content calldata c, uint256 seat, uint16 reason, bytes32 detail)
        private
        returns (Why why, uint256 found, uint256 expected)
    {
        Word w = word[order];
        Standing s = _standing(c.assetVersion, c.detector, msg.sender, seat);
        (why, found, expected) = _checkVerdict(w, s, seat);
        if (why != Why.None) return (why, found, expected);
        if (w.against() & (1 << seat) != 0) return (Why.Voted, 1, 0);
        (why, found, expected) = _checkBefore(w.status() == Status.Emergency ? _ratifyBy(w, s) : c.deadline);
        if (why != Why.None) return (why, found, expected);
        emit Refused(order, msg.sender, s.organisation(), seat, reason, detail);
        word[order] = _settle(order, w.refuse(seat), c, s);
    }

    /// @dev Not settled, and the caller's verdict key sits in that seat.
    function _checkVerdict(Word w, Standing s, uint256 seat) private pure returns (Why, uint256, uint256) {
        if (w.status() > Status.Emergency) return (Why.State, uint256(w.status()), uint256(Status.Proposed));
        return _checkSeat(s, seat);
    }

    function _checkSeat(Standing s, uint256 seat) private pure returns (Why, uint256, uint256) {
        bool sits = s.organisation() != 0 && s.organisation() == s.seated() && seat < s.seats();
        if (s.role() != Role.Verdict || !sits) return (Why.Seat, s.organisation(), s.seated());
        return (Why.None, 0, 0);
    }

    function _checkBefore(uint256 end) private view returns (Why, uint256, uint256) {
        if (block.timestamp >= end) return (Why.Late, block.timestamp, end);
        return (Why.None, 0, 0);
    }

    /// @dev A set of approvals releases nothing if a seat's organisation belongs no more.
    function _checkWhole(Word w, Content calldata c, Standing s) private view returns (Why, uint256, uint256) {
        if (w.status() == Status.None || w.approved() != s.full()) return (Why.None, 0, 0);
        uint256 present = _present(c.assetVersion);
        if (present != s.full()) return (Why.Member, present, s.full());
        return (Why.None, 0, 0);
    }

    /// @return The word after whichever call completed a set: the only place where verdicts reach an end.
    function _settle(bytes32 order, Word w, Content calldata c, Standing s) private returns (Word) {
        Status status = w.status();
        if (status == Status.None) return w;
        if (w.against() != 0) {
            return status == Status.Proposed ? _move(order, w, Status.Refused, 0) : _contest(order, w, c);
        }
        if (w.approved() != s.full()) return w;
        if (status == Status.Proposed) return _move(order, w, Status.Validated, 0);
        Emergencies storage e = emergencies[c.assetVersion];
        e.openCost -= _weight(c);
        e.open -= 1;
        return _move(order, w, Status.Ratified, 0);
    }

    // ---------------------------------------------------------------- ends without verdicts

    /// @notice Take an open order back: its builder, though removed meanwhile.
    function withdraw(Content calldata c) external {
        bytes32 order = idOf(c);
        Word w = _requireStatus(order, Status.Proposed);
        if (msg.sender != c.builder) revert Rejected(order, Why.Caller, uint160(msg.sender), uint160(c.builder));
        word[order] = _move(order, w, Status.Withdrawn, 0);
    }

    /// @notice By anybody: the deadline came, or version or detector live no more.
    function expire(Content calldata c) external {
        bytes32 order = idOf(c);
        Word w = _requireStatus(order, Status.Proposed);
        Standing s = _standing(c.assetVersion, c.detector, msg.sender, NO_SEAT);
        bool holds = s.life() == Life.Live && s.detector() == Life.Live;
        if (block.timestamp < c.deadline && holds) revert Rejected(order, Why.Early, block.timestamp, c.deadline);
        word[order] = _move(order, w, Status.Expired, 0);
    }

    // ---------------------------------------------------------------- emergency

    /// @notice Make an open order an emergency (the safety authority's governance key), under the cap. Approvals given stay.
    function escalate(Content calldata c, bytes32 reason) external {
        bytes32 order = idOf(c);
        Word w = _requireStatus(order, Status.Proposed);
        Standing s = _standing(c.assetVersion, c.detector, msg.sender, NO_SEAT);
        (Why why, uint256 found, uint256 expected) = _checkSafety(s);
        if (why == Why.None) (why, found, expected) = _checkLive(c, s);
        _must(order, why, found, expected);
        _raise(order, w, c, s, reason);
    }

    /// @notice By anybody: an emergency was not ratified in time.
    function contest(Content calldata c) external {
        bytes32 order = idOf(c);
        Word w = _requireStatus(order, Status.Emergency);
        Standing s = _standing(c.assetVersion, c.detector, msg.sender, NO_SEAT);
        uint256 end = _ratifyBy(w, s);
        if (block.timestamp < end) revert Rejected(order, Why.Early, block.timestamp, end);
        word[order] = _contest(order, w, c);
    }

    function _checkSafety(Standing s) private pure returns (Why, uint256, uint256) {
        bool is_ = s.role() == Role.Governance && s.organisation() != 0 && s.organisation() == s.safety();
        return is_ ? (Why.None, 0, 0) : (Why.Caller, s.organisation(), s.safety());
    }

    /// @dev Into the state Emergency if the cap allows; verdicts already there may settle it at once.
    function _raise(bytes32 order, Word w, Content calldata c, Standing s, bytes32 reason) private {
        Emergencies memory e = emergencies[c.assetVersion];
        if (block.timestamp >= uint256(e.lastContest) + HORIZON) (e.contestedCost, e.contested) = (0, 0);
        uint256 cost = uint256(e.openCost) + e.contestedCost + _weight(c);
        uint256 count = uint256(e.open) + e.contested + 1;
        if (cost > s.cap()) revert Rejected(order, Why.Cap, cost, s.cap());
        if (count > s.max()) revert Rejected(order, Why.Count, count, s.max());
        e.openCost += _weight(c);
        e.open += 1;
        emergencies[c.assetVersion] = e;
        w = _move(order, w.markEmergency(), Status.Emergency, reason);
        word[order] = _settle(order, w, c, s);
    }

    function _contest(bytes32 order, Word w, Content calldata c) private returns (Word) {
        Emergencies memory e = emergencies[c.assetVersion];
        if (block.timestamp >= uint256(e.lastContest) + HORIZON) (e.contestedCost, e.contested) = (0, 0);
        e.openCost -= _weight(c);
        e.open -= 1;
        e.contestedCost += _weight(c);
        e.contested += 1;
        e.lastContest = uint40(block.timestamp);
        emergencies[c.assetVersion] = e;
        return _move(order, w.markContested(), Status.Contested, 0);
    }

    /// @dev Until when an emergency may be ratified or refused.
    function _ratifyBy(Word w, Standing s) private pure returns (uint256) {
        return w.movedAt() + s.ratifyPeriod();
    }

    /// @dev What an emergency weighs against the cap: nothing is free.
    function _weight(Content calldata c) private pure returns (uint64) {
        return c.cost == 0 ? 1 : c.cost;
    }

    // ---------------------------------------------------------------- close

    /// @notice Say what came of the work (1 cured, 2 not cured, 3 false alarm, 4 not carried out): the host's verdict key.
    function complete(Content calldata c, uint8 outcome, bytes32 closeOut) external {
        bytes32 order = idOf(c);
        Word w = word[order];
        Status status = w.status();
        bool may = status == Status.Validated || status == Status.Ratified || status == Status.Contested;
        if (!may) revert Rejected(order, Why.State, uint256(status), uint256(Status.Validated));
        if (outcome == 0 || outcome > OUTCOMES) revert Rejected(order, Why.Outcome, outcome, OUTCOMES);
        Standing s = _standing(c.assetVersion, c.detector, msg.sender, NO_SEAT);
        uint256 host = _hostOf(c.assetVersion);
        bool hosts = s.role() == Role.Verdict && s.organisation() != 0 && s.organisation() == host;
        if (!hosts) revert Rejected(order, Why.Caller, s.organisation(), host);
        word[order] = _move(order, w.withOutcome(outcome), Status.Completed, closeOut);
    }

    /// @notice Vote to cancel an approved order: every seat whose organisation still belongs.
    function cancel(Content calldata c, uint256 seat) external {
        bytes32 order = idOf(c);
        Word w = word[order];
        Status status = w.status();
        bool may = status == Status.Validated || status == Status.Ratified;
        if (!may) revert Rejected(order, Why.State, uint256(status), uint256(Status.Validated));
        Standing s = _standing(c.assetVersion, c.detector, msg.sender, seat);
        (Why why, uint256 found, uint256 expected) = _checkSeat(s, seat);
        _must(order, why, found, expected);
        bool again = w.against() & (1 << seat) != 0;
        w = w.voteCancel(seat);
        uint256 present = _present(c.assetVersion) & s.full();
        bool all = w.against() & present == present;
        // Said again, it counts only where the last one missing has left meanwhile.
        if (again && !all) revert Rejected(order, Why.Voted, 1, 0);
        emit CancellationVoted(order, msg.sender, s.organisation(), seat);
        word[order] = all ? _move(order, w, Status.Cancelled, 0) : w;
    }
}

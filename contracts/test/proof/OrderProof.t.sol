// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Content, Word} from "../../src/Types.sol";
import {Step} from "./Step.sol";

/// @title Each single call, from any state under the invariant, by anybody, at any time, with any arguments.
contract OrderProof is Step {
    // ---- proposals write the evidence's order, so the other order comes in two cases: of another evidence, of the same

    function check_propose_does_what_it_says(Content calldata x, Content calldata y, uint256 t, address a) public {
        Was memory was = pre(x, y, t);
        vm.prank(a);
        this.propose(x);
        uint256 v = wordOf(x);
        proposed(x, a, was, v);
        assert(uint8(standing(x, a, 255) >> 144) == 4);
        assert(among(st(v), 1 << 1 | 1 << 3 | 1 << 5) == 1);
        assert(counters(x.assetVersion) == was.counters);
    }

    function check_emergency_does_what_it_says(Content calldata x, Content calldata y, uint256 t, address a) public {
        Was memory was = pre(x, y, t);
        vm.prank(a);
        this.proposeEmergency(x, 0);
        uint256 v = wordOf(x);
        proposed(x, a, was, v);
        assert(authority(x, a) == 1);
        assert(among(st(v), URGENT) == 1);
        assert(imp(b(st(v) == 2), capped(x, was)) == 1);
    }

    /// @dev What a proposal of either kind needs and does.
    function proposed(Content calldata x, address a, Was memory was, uint256 v) private view {
        assert(st(was.x) == 0 && a == x.builder && newest == address(this));
        assert(grounded(x, was.time) == 1);
        assert(uint128(v) == uint128(was.x));
        assert(_latest[asset(x)][x.evidence] == idOf(x));
        assert(inv(x) & whole(x, was.x, v) == 1);
        assert(uint40(v >> 128) == was.time && movedAt(v) == was.time);
    }

    function check_propose_leaves_other_evidence(Content calldata x, Content calldata y, uint256 t, address a) public {
        vm.assume(x.evidence != y.evidence);
        leaves(x, y, t, a, false);
    }

    function check_propose_leaves_same_evidence(Content calldata x, Content memory y, uint256 t, address a) public {
        y.evidence = x.evidence;
        this.leaves(x, y, t, a, false);
    }

    function check_emergency_leaves_other_evidence(Content calldata x, Content calldata y, uint256 t, address a) public {
        vm.assume(x.evidence != y.evidence);
        leaves(x, y, t, a, true);
    }

    function check_emergency_leaves_same_evidence(Content calldata x, Content memory y, uint256 t, address a) public {
        y.evidence = x.evidence;
        this.leaves(x, y, t, a, true);
    }

    /// @dev The other order's word stays, and no live order loses its evidence.
    function leaves(Content calldata x, Content calldata y, uint256 t, address a, bool emergency) public {
        Was memory was = pre(x, y, t);
        vm.prank(a);
        if (emergency) this.proposeEmergency(x, 0);
        else this.propose(x);
        assert(wordOf(y) == was.y);
        assert(single(y) == 1);
    }

    /// @dev Attempts are numbered on from the last one of the evidence, here or on a contract before this one.
    function check_propose_follows_the_last_attempt(Content calldata x, Content calldata y, uint256 t, address a) public {
        pre(x, y, t);
        bytes32 here = _latest[asset(x)][x.evidence];
        bytes32 held = here == 0 ? beforeOrder[asset(x)][x.evidence] : here;
        uint256 last = here == 0 ? beforeWord[asset(x)][x.evidence] : wordAt(here);
        vm.assume(st(last) <= 10);
        vm.prank(a);
        this.propose(x);
        uint256 again = among(st(last), DEAD) | (b(st(last) == 9) & contested(last) & b(outcome(last) == 4));
        assert(imp(b(held != 0), again) == 1);
        assert(x.attempt == uint24(last >> 208) + 1);
    }

    // ---- verdicts

    function check_approve(Content calldata x, Content calldata y, uint256 t, address a, uint256 seat, bytes32 r) public {
        Was memory was = pre(x, y, t);
        vm.prank(a);
        this.approve(x, seat, r);
        uint256 v = post(x, y, was);
        assert(seated(x, a, seat) & whole(x, was.x, v) == 1);
        assert(uint128(v) == uint128(was.x) | (1 << seat) && uint128(v) != uint128(was.x));
        assert(no(was.x) & (1 << seat) == 0);
        assert(among(st(v), BEFORE_END | APPROVED) == 1);
        assert(imp(b(st(was.x) != 2), grounded(x, t)) == 1);
        assert(imp(b(st(was.x) == 2), b(t < ratifyBy(x, was.x))) == 1);
        assert(imp(b(st(v) != 4), b(counters(x.assetVersion) == was.counters)) == 1);
        assert(imp(b(st(v) == 4), b(counters(x.assetVersion) == was.counters - given(x))) == 1);
    }

    function check_refuse(Content calldata x, Content calldata y, uint256 t, address a, uint256 seat, uint16 why, bytes32 r)
        public
    {
        Was memory was = pre(x, y, t);
        vm.prank(a);
        this.refuse(x, seat, why, r);
        uint256 v = post(x, y, was);
        assert(seated(x, a, seat) == 1);
        assert(yes(v) == yes(was.x) & ~(1 << seat));
        assert(no(v) == no(was.x) | (1 << seat) && no(v) != no(was.x));
        assert(st(v) == (st(was.x) == 0 ? 0 : st(was.x) == 1 ? 5 : 8));
        assert(t < (st(was.x) == 2 ? ratifyBy(x, was.x) : x.deadline));
    }

    // ---- ends without verdicts

    function check_withdraw(Content calldata x, Content calldata y, uint256 t, address a) public {
        Was memory was = pre(x, y, t);
        vm.prank(a);
        this.withdraw(x);
        uint256 v = post(x, y, was);
        assert(a == x.builder && st(was.x) == 1 && st(v) == 7 && uint128(v) == uint128(was.x));
    }

    function check_expire(Content calldata x, Content calldata y, uint256 t, address a) public {
        Was memory was = pre(x, y, t);
        vm.prank(a);
        this.expire(x);
        uint256 v = post(x, y, was);
        uint256 s = standing(x, a, 255);
        assert(st(was.x) == 1 && st(v) == 6 && uint128(v) == uint128(was.x));
        assert(x.deadline <= t || uint8(s) != LIVE || uint8(s >> 168) != LIVE);
    }

    // ---- emergency

    function check_escalate(Content calldata x, Content calldata y, uint256 t, address a, bytes32 r) public {
        Was memory was = pre(x, y, t);
        vm.prank(a);
        this.escalate(x, r);
        uint256 v = post(x, y, was);
        assert(authority(x, a) & grounded(x, t) & capped(x, was) == 1);
        assert(st(was.x) == 1 && st(v) == 2 && uint128(v) == uint128(was.x));
    }

    function check_contest(Content calldata x, Content calldata y, uint256 t, address a) public {
        Was memory was = pre(x, y, t);
        vm.prank(a);
        this.contest(x);
        uint256 v = post(x, y, was);
        assert(st(was.x) == 2 && st(v) == 8 && t >= ratifyBy(x, was.x) && uint128(v) == uint128(was.x));
        uint256 e = counters(x.assetVersion);
        assert(uint64(e) == uint64(was.counters) - weight(x) && uint40(e >> 160) == t);
    }

    // ---- close

    function check_complete(Content calldata x, Content calldata y, uint256 t, address a, uint8 out, bytes32 r) public {
        Was memory was = pre(x, y, t);
        vm.prank(a);
        this.complete(x, out, r);
        uint256 v = post(x, y, was);
        uint256 s = standing(x, a, 255);
        assert(uint8(s >> 144) == 1 && uint8(s >> 152) == hosts[x.assetVersion] && uint8(s >> 152) != 0);
        assert(among(st(was.x), APPROVED | 1 << 8) == 1 && st(v) == 9 && outcome(v) == out);
        assert(uint128(v) == uint128(was.x) && counters(x.assetVersion) == was.counters);
    }

    function check_cancel(Content calldata x, Content calldata y, uint256 t, address a, uint256 seat) public {
        Was memory was = pre(x, y, t);
        vm.prank(a);
        this.cancel(x, seat);
        uint256 v = post(x, y, was);
        uint256 present = presents[x.assetVersion] & full(x);
        assert(seated(x, a, seat) & among(st(was.x), APPROVED) == 1);
        assert(uint128(v) == uint128(was.x) | (1 << (64 + seat)));
        assert(uint128(v) != uint128(was.x) || st(v) == 10); // said again, it counts only if it completes the set
        assert(st(v) == (no(v) & present == present ? 10 : st(was.x)));
    }

    // ---- parts

    function wordAt(bytes32 id) private view returns (uint256) {
        return Word.unwrap(word[id]);
    }

    function ratifyBy(Content calldata x, uint256 w) private view returns (uint256) {
        return movedAt(w) + uint32(terms[x.assetVersion] >> 32);
    }

    /// @dev One emergency of this cost, as it stands in the counters.
    function given(Content calldata x) private pure returns (uint256) {
        return weight(x) | (1 << 64);
    }

    /// @dev Counted once more, and open and contested emergencies together are within cost and number.
    function capped(Content calldata x, Was memory was) private view returns (uint256) {
        uint256 e = counters(x.assetVersion);
        uint256 t = terms[x.assetVersion];
        uint256 counted = b(uint80(e) == uint80(was.counters) + given(x));
        uint256 cost = uint256(uint64(e)) + uint64(e >> 80);
        uint256 count = uint256(uint16(e >> 64)) + uint16(e >> 144);
        return counted & b(cost <= uint64(t >> 64)) & b(count <= uint16(t >> 128));
    }
}

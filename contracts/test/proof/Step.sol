// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Content, Word} from "../../src/Types.sol";
import {AnyOrders} from "./AnyOrders.sol";

interface Cheats {
    function assume(bool condition) external pure;
    function prank(address sender) external;
    function warp(uint256 time) external;
}

interface Symbolic {
    function enableSymbolicStorage(address target) external;
}

/// @title One step from any storage that satisfies the invariant: no history, no bound on keys, orders or seats (2 to 64).
/// @notice Formulas are written without branches (`&`, `|`, `imp`): one formula for the solver instead of a path per case.
/// That terms and asset of a version never change is proven apart (VersionProof); all else that the registry says may change
/// between steps as it likes.
abstract contract Step is AnyOrders {
    Cheats internal constant vm = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));
    Symbolic internal constant svm = Symbolic(address(uint160(uint256(keccak256("svm cheat code")))));

    // Sets of states, bit n is state n.
    uint256 internal constant OPEN = 1 << 1 | 1 << 2;
    uint256 internal constant APPROVED = 1 << 3 | 1 << 4;
    uint256 internal constant BEFORE_END = 1 | OPEN;
    uint256 internal constant DEAD = 1 << 5 | 1 << 6 | 1 << 7;
    uint256 internal constant URGENT = 1 << 2 | 1 << 4 | 1 << 8;
    uint256 internal constant HOLDING = OPEN | APPROVED | 1 << 8 | 1 << 10;
    uint256 internal constant LIVE = 1;

    /// @dev What was there before the call.
    struct Was {
        uint256 x;
        uint256 y;
        uint256 counters;
        uint256 time;
    }

    function setUp() public {
        svm.enableSymbolicStorage(address(this));
    }

    // ---------------------------------------------------------------- small words

    function b(bool p) internal pure returns (uint256 r) {
        assembly ("memory-safe") {
            r := p
        }
    }

    function imp(uint256 p, uint256 q) internal pure returns (uint256) {
        return (p ^ 1) | q;
    }

    function among(uint256 state, uint256 set) internal pure returns (uint256) {
        return (set >> state) & 1;
    }

    function st(uint256 w) internal pure returns (uint256) {
        return w >> 248;
    }

    function yes(uint256 w) internal pure returns (uint256) {
        return uint64(w);
    }

    function no(uint256 w) internal pure returns (uint256) {
        return uint64(w >> 64);
    }

    function movedAt(uint256 w) internal pure returns (uint256) {
        return uint40(w >> 168);
    }

    function outcome(uint256 w) internal pure returns (uint256) {
        return uint8(w >> 232);
    }

    function urgent(uint256 w) internal pure returns (uint256) {
        return (w >> 240) & 1;
    }

    function contested(uint256 w) internal pure returns (uint256) {
        return (w >> 241) & 1;
    }

    function wordOf(Content calldata c) internal view returns (uint256) {
        return Word.unwrap(word[idOf(c)]);
    }

    function full(Content calldata c) internal view returns (uint256) {
        unchecked {
            return (uint256(1) << uint8(terms[c.assetVersion] >> 8)) - 1;
        }
    }

    function weight(Content calldata c) internal pure returns (uint256) {
        return uint256(c.cost) + b(c.cost == 0);
    }

    function asset(Content calldata c) internal view returns (bytes32) {
        return assets[c.assetVersion];
    }

    // ---------------------------------------------------------------- the invariant

    /// @dev Whether an order in this state keeps others of its evidence out.
    function holds(uint256 w) internal pure returns (uint256) {
        uint256 again = contested(w) & b(outcome(w) == 4);
        return among(st(w), HOLDING) | (b(st(w) == 9) & (again ^ 1));
    }

    /// @dev One live order per evidence of an asset.
    function single(Content calldata c) internal view returns (uint256) {
        bytes32 id = idOf(c);
        return imp(holds(Word.unwrap(word[id])), b(_latest[asset(c)][c.evidence] == id));
    }

    function inv(Content calldata c) internal view returns (uint256) {
        uint256 w = wordOf(c);
        return shape(c, w) & verdicts(w, full(c)) & flags(w) & single(c);
    }

    /// @dev Fields stay in their bounds and say what they must.
    function shape(Content calldata c, uint256 w) internal view returns (uint256 ok) {
        uint256 n = uint8(terms[c.assetVersion] >> 8);
        ok = b(n >= 2) & b(n <= 64) & b(st(w) <= 10) & b((yes(w) | no(w)) & ~full(c) == 0);
        ok &= imp(b(st(w) == 0), b(w >> 128 == 0));
        ok &= imp(b(st(w) != 0), b(uint24(w >> 208) == c.attempt) & b(c.attempt != 0));
        ok &= b(uint40(w >> 128) <= movedAt(w));
        ok &= b(outcome(w) <= 4) & (b(outcome(w) != 0) ^ b(st(w) != 9));
    }

    /// @dev No verdict counts twice, a complete set is settled, only every seat's approval releases anything.
    function verdicts(uint256 w, uint256 all) internal pure returns (uint256 ok) {
        uint256 state = st(w);
        ok = imp(among(state, BEFORE_END | DEAD | 1 << 8), b(yes(w) & no(w) == 0));
        ok &= imp(among(state, OPEN), b(no(w) == 0) & b(yes(w) != all));
        ok &= imp(among(state, APPROVED), b(yes(w) == all) & b(no(w) != all));
        ok &= imp(b(state == 10), b(yes(w) == all) & b(no(w) != 0));
        ok &= imp(b(state == 9) & (contested(w) ^ 1), b(yes(w) == all));
        ok &= imp(b(state == 5), b(no(w) != 0)) & imp(among(state, 1 << 6 | 1 << 7), b(no(w) == 0));
    }

    /// @dev Emergencies and contests are remembered, and nothing else is flagged.
    function flags(uint256 w) internal pure returns (uint256 ok) {
        uint256 state = st(w);
        ok = b((w >> 242) & 0x3f == 0) & imp(contested(w), urgent(w) & among(state, 1 << 8 | 1 << 9));
        ok &= imp(among(state, 1 << 1 | 1 << 3 | DEAD), urgent(w) ^ 1) & imp(among(state, URGENT), urgent(w));
        ok &= imp(b(state == 8), contested(w));
    }

    // ---------------------------------------------------------------- before and after

    /// @dev x is the order that is called, y any other order, maybe of the same evidence.
    function pre(Content calldata x, Content calldata y, uint256 time) internal returns (Was memory was) {
        vm.assume(time > 1 && time < 2 ** 40 - HORIZON);
        vm.warp(time);
        vm.assume(idOf(x) != idOf(y));
        vm.assume(inv(x) & single(y) == 1);
        was = Was(wordOf(x), wordOf(y), counters(x.assetVersion), time);
        vm.assume(movedAt(was.x) <= time);
    }

    function post(Content calldata x, Content calldata y, Was memory was) internal view returns (uint256 now_) {
        now_ = wordOf(x);
        assert(wordOf(y) == was.y);
        assert(inv(x) & single(y) == 1);
        assert(forward(was.x, now_, was.time) == 1);
    }

    /// @dev Never back; once settled only the work moves on and approvals stay; each move is dated, all else stays.
    function forward(uint256 w, uint256 v, uint256 time) internal pure returns (uint256 ok) {
        uint256 moved = b(st(w) != st(v));
        ok = b(st(v) >= st(w)) & imp(b(st(w) > 2) & moved, b(st(v) >= 9) & among(st(w), APPROVED | 1 << 8));
        ok &= imp(b(st(w) > 2), b(yes(v) == yes(w)));
        ok &= imp(moved ^ 1, b(w >> 128 == v >> 128)) & imp(moved, b(movedAt(v) == time));
        ok &= imp(b(st(w) != 0), b(uint40(v >> 128) == uint40(w >> 128)));
    }

    // ---------------------------------------------------------------- who may

    function standing(Content calldata x, address key, uint256 seat) internal view returns (uint256) {
        return standing(x.assetVersion, x.detector, key, seat);
    }

    /// @dev The key is the verdict key of the organisation in that seat.
    function seated(Content calldata x, address key, uint256 seat) internal view returns (uint256) {
        uint256 s = standing(x, key, seat);
        uint256 organisation = uint8(s >> 152);
        uint256 sits = b(organisation != 0) & b(organisation == uint8(s >> 160)) & b(seat < uint8(s >> 8));
        return b(uint8(s >> 144) == 1) & sits;
    }

    /// @dev The key is the safety authority's governance key.
    function authority(Content calldata x, address key) internal view returns (uint256) {
        uint256 s = standing(x, key, 255);
        return b(uint8(s >> 144) == 2) & b(uint8(s >> 152) == uint8(s >> 24)) & b(uint8(s >> 24) != 0);
    }

    /// @dev Version and detector live, deadline ahead and near.
    function grounded(Content calldata x, uint256 time) internal view returns (uint256) {
        uint256 s = standing(x, address(0), 255);
        return b(uint8(s) == LIVE) & b(uint8(s >> 168) == LIVE) & b(time < x.deadline) & b(x.deadline <= time + HORIZON);
    }

    /// @dev Whatever is released is released by organisations that all still belong.
    function whole(Content calldata x, uint256 w, uint256 v) internal view returns (uint256) {
        return imp(b(st(w) < 3) & among(st(v), APPROVED), b(presents[x.assetVersion] == full(x)));
    }
}

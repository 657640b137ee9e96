// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Content} from "../../src/Types.sol";
import {Step} from "./Step.sol";

/// @title Batches of two, maybe of one order twice: after both items the invariant holds, nothing went back, no other order moved.
/// @notice An item runs the function of the single call, so who may call is proven there; here the callers may, and the items meet.
contract BatchProof is Step {
    /// @custom:halmos --array-lengths xs=2,votes=2,results=2
    function check_approve_batch(
        Content[] calldata xs, uint256[] calldata votes, bytes32[] calldata results, Content calldata y, uint256 t, address a
    ) public {
        vm.assume(seated(xs[0], a, votes[0]) & seated(xs[1], a, votes[1]) == 1);
        vm.assume(idOf(xs[1]) != idOf(y));
        uint256 second = wordOf(xs[1]);
        vm.assume(inv(xs[1]) == 1 && movedAt(second) <= t);
        Was memory was = pre(xs[0], y, t);
        vm.prank(a);
        this.approveBatch(xs, votes, results);
        uint256 ok = b(wordOf(y) == was.y) & inv(xs[0]) & inv(xs[1]);
        assert(ok & forward(was.x, wordOf(xs[0]), t) & forward(second, wordOf(xs[1]), t) == 1);
    }

    /// @dev Two orders of one piece of evidence, both allowed but for each other: at most one of them comes to live.
    /// @custom:halmos --array-lengths xs=2
    function check_propose_batch(Content[] calldata xs, uint256 t, address a) public {
        (Content calldata x, Content calldata y) = (xs[0], xs[1]);
        vm.assume(x.evidence == y.evidence && asset(x) == asset(y));
        vm.assume(uint8(roles[a]) == 4 && a == x.builder && a == y.builder && newest == address(this));
        vm.assume(grounded(x, t) & grounded(y, t) == 1 && inv(y) == 1);
        Was memory was = pre(x, y, t);
        vm.prank(a);
        this.proposeBatch(xs);
        assert(inv(x) & inv(y) & forward(was.x, wordOf(x), t) & forward(was.y, wordOf(y), t) == 1);
        assert(holds(wordOf(x)) & holds(wordOf(y)) == 0);
    }
}

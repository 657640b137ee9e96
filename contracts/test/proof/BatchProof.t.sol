// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Content} from "../../src/Types.sol";
import {Step} from "./Step.sol";

/// @title Batches of two: after both items the invariant holds and nothing went back.
/// @notice An item of any batch runs the function of the single call, which is proven as a step; here two proposals meet in one call.
contract BatchProof is Step {
    /// @dev Two orders of one piece of evidence that is free, both allowed but for each other: at most one of them comes to live.
    /// @custom:halmos --array-lengths xs=2
    function check_propose_batch(Content[] calldata xs, uint256 t, address a) public {
        (Content calldata x, Content calldata y) = (xs[0], xs[1]);
        vm.assume(x.evidence == y.evidence && asset(x) == asset(y));
        vm.assume(_latest[asset(x)][x.evidence] == 0 && beforeOrder[asset(x)][x.evidence] == 0);
        vm.assume(uint8(roles[a]) == 4 && a == x.builder && a == y.builder && newest == address(this));
        vm.assume(grounded(x, t) & grounded(y, t) == 1 && inv(y) == 1);
        Was memory was = pre(x, y, t);
        vm.prank(a);
        this.proposeBatch(xs);
        assert(inv(x) & inv(y) & onward(x, was.x, t) & onward(y, was.y, t) == 1);
        assert(holds(wordOf(x)) & holds(wordOf(y)) == 0);
    }

    function onward(Content calldata x, uint256 was, uint256 t) private view returns (uint256) {
        return forward(was, wordOf(x), t);
    }
}

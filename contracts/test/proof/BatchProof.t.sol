// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Content} from "../../src/Types.sol";
import {Step} from "./Step.sol";

/// @title Batches of two, maybe of the same order twice: the invariant holds, nothing goes back, no other order is touched.
/// @notice That an item of a batch does what a single call does follows from the sources: both are one function.
contract BatchProof is Step {
    struct Both {
        Was first;
        Was second;
    }

    /// @custom:halmos --array-lengths xs=2
    function check_propose_batch(Content[] calldata xs, Content calldata y, uint256 t, address a) public {
        vm.assume(xs[0].evidence != y.evidence && xs[1].evidence != y.evidence);
        Both memory was = before(xs, y, t);
        vm.prank(a);
        this.proposeBatch(xs);
        after_(xs, y, was);
    }

    /// @custom:halmos --array-lengths xs=2,seats=2,results=2
    function check_approve_batch(
        Content[] calldata xs, uint256[] calldata seats_, bytes32[] calldata results, Content calldata y, uint256 t, address a
    ) public {
        Both memory was = before(xs, y, t);
        vm.prank(a);
        this.approveBatch(xs, seats_, results);
        after_(xs, y, was);
    }

    function before(Content[] calldata xs, Content calldata y, uint256 t) private returns (Both memory was) {
        was.first = pre(xs[0], y, t);
        was.second = pre(xs[1], y, t);
    }

    function after_(Content[] calldata xs, Content calldata y, Both memory was) private view {
        post(xs[0], y, was.first);
        post(xs[1], y, was.second);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Content, Status, Why} from "../src/Types.sol";
import {Plant} from "./Plant.sol";

/// @title What came of the work: completed by the host, cancelled by every seat that still belongs.
contract CloseTest is Plant {
    function setUp() public {
        build(3);
    }

    function completing(Content memory c, uint8 outcome) private view returns (bytes memory) {
        return abi.encodeCall(orders.complete, (c, outcome, bytes32("report")));
    }

    function cancelling(Content memory c, uint256 number) private view returns (bytes memory) {
        return abi.encodeCall(orders.cancel, (c, number - 1));
    }

    function testFuzz_the_host_says_one_of_four_outcomes(uint8 outcome) public {
        Content memory c = validated(1);
        if (outcome == 0 || outcome > 4) return denied(verdictKey(1), completing(c, outcome), Why.Outcome);
        act(verdictKey(1), completing(c, outcome));
        check(c, Status.Completed);
        require(orders.word(orders.idOf(c)).outcome() == outcome, "outcome");
        denied(verdictKey(1), completing(c, outcome), Why.State);
        denied(verdictKey(1), cancelling(c, 1), Why.State);
    }

    function test_nobody_but_the_host_completes() public {
        Content memory c = validated(1);
        denied(verdictKey(2), completing(c, 1), Why.Caller);
        denied(governor(1), completing(c, 1), Why.Caller);
        denied(builder, completing(c, 1), Why.Caller);
    }

    function test_a_contested_emergency_is_completed_and_not_cancelled() public {
        Content memory c = emergency(1);
        denied(verdictKey(1), completing(c, 1), Why.State);
        refuse(c, 2);
        denied(verdictKey(2), cancelling(c, 2), Why.State);
        act(verdictKey(1), completing(c, 1));
        check(c, Status.Completed);
        require(orders.word(orders.idOf(c)).contested(), "forgotten that it was contested");
    }

    function test_work_is_closed_after_the_deadline_and_under_an_ended_version() public {
        Content memory c = validated(1);
        register(3, version);
        vm.warp(block.timestamp + 400 days);
        act(verdictKey(1), completing(c, 1));
    }

    function test_the_new_host_closes_where_the_host_left() public {
        Content memory c = validated(1);
        expel(1, 3);
        denied(verdictKey(1), completing(c, 1), Why.Caller);
        denied(verdictKey(2), completing(c, 1), Why.Caller);
        uint8[] memory seats = new uint8[](2);
        (seats[0], seats[1]) = (2, 3);
        revise(seats, 2);
        act(verdictKey(2), completing(c, 1));
    }

    function test_every_seat_cancels_and_the_last_one_moves() public {
        Content memory c = validated(1);
        act(verdictKey(1), cancelling(c, 1));
        denied(verdictKey(1), cancelling(c, 1), Why.Voted);
        denied(verdictKey(1), cancelling(c, 2), Why.Seat);
        denied(governor(2), cancelling(c, 2), Why.Seat);
        act(verdictKey(2), cancelling(c, 2));
        check(c, Status.Validated);
        act(verdictKey(3), cancelling(c, 3));
        check(c, Status.Cancelled);
    }

    function test_an_expelled_seat_is_not_waited_for() public {
        Content memory c = validated(1);
        expel(3, 3);
        denied(verdictKey(3), cancelling(c, 3), Why.Seat);
        act(verdictKey(1), cancelling(c, 1));
        act(verdictKey(2), cancelling(c, 2));
        check(c, Status.Cancelled);
    }

    /// @dev All who remain have said so already: said again, it counts.
    function test_a_seat_that_left_after_the_others_cancelled_does_not_keep_the_order_open() public {
        Content memory c = validated(1);
        act(verdictKey(1), cancelling(c, 1));
        act(verdictKey(2), cancelling(c, 2));
        expel(3, 3);
        check(c, Status.Validated);
        act(verdictKey(1), cancelling(c, 1));
        check(c, Status.Cancelled);
    }

    function test_nothing_open_is_closed() public {
        Content memory c = content(1);
        denied(verdictKey(1), completing(c, 1), Why.State);
        propose(c);
        denied(verdictKey(1), completing(c, 1), Why.State);
        denied(verdictKey(1), cancelling(c, 1), Why.State);
    }
}

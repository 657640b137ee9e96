// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Content, Kind, Role, Status, Why} from "../src/Types.sol";
import {Plant} from "./Plant.sol";

/// @title Proposal and verdicts: any order of arrival, and who may say what until when.
contract VerdictsTest is Plant {
    function setUp() public {
        build(3);
    }

    /// @dev Proposal and three approvals, in the order that `shuffle` picks.
    function testFuzz_any_order_of_arrival_validates(uint256 shuffle) public {
        Content memory c = content(1);
        uint256[4] memory turns = [uint256(0), 1, 2, 3];
        for (uint256 i = 0; i < 4; ++i) {
            uint256 j = i + (shuffle >> (8 * i)) % (4 - i);
            (turns[i], turns[j]) = (turns[j], turns[i]);
            if (turns[i] == 0) propose(c);
            else approve(c, turns[i]);
            if (i < 3) require(uint8(orders.statusOf(orders.idOf(c))) < 2, "settled early");
        }
        check(c, Status.Validated);
    }

    /// @dev With one refusal among them it is refused, whatever comes first; nothing follows.
    function testFuzz_any_order_of_arrival_with_a_refusal_refuses(uint256 shuffle, uint256 refuser) public {
        Content memory c = content(1);
        refuser = 1 + refuser % 3;
        uint256[4] memory turns = [uint256(0), 1, 2, 3];
        for (uint256 i = 0; i < 4; ++i) {
            uint256 j = i + (shuffle >> (8 * i)) % (4 - i);
            (turns[i], turns[j]) = (turns[j], turns[i]);
            bytes memory data = turns[i] == 0
                ? proposing(c)
                : turns[i] == refuser ? refusing(c, turns[i] - 1) : approving(c, turns[i] - 1);
            send(address(orders), turns[i] == 0 ? builder : verdictKey(turns[i]), data);
        }
        check(c, Status.Refused);
    }

    function test_a_verdict_before_the_proposal_is_kept_and_releases_nothing_alone() public {
        Content memory c = content(1);
        for (uint256 n = 1; n <= 3; ++n) {
            approve(c, n);
        }
        check(c, Status.None);
        denied(verdictKey(1), approving(c, 0), Why.Voted);
        propose(c);
        check(c, Status.Validated);
    }

    function test_an_approval_may_be_turned_and_a_refusal_may_not() public {
        Content memory c = content(1);
        approve(c, 1);
        refuse(c, 1);
        denied(verdictKey(1), approving(c, 0), Why.Voted);
        denied(verdictKey(1), refusing(c, 0), Why.Voted);
        propose(c);
        check(c, Status.Refused);
    }

    function test_the_last_approval_and_a_turned_one_race_and_the_first_wins() public {
        Content memory c = content(1);
        propose(c);
        approve(c, 1);
        approve(c, 2);
        approve(c, 3);
        denied(verdictKey(1), refusing(c, 0), Why.State);
        c = content(2);
        propose(c);
        approve(c, 1);
        refuse(c, 1);
        denied(verdictKey(3), approving(c, 2), Why.State);
    }

    /// @dev Whoever is not the verdict key of that seat's organisation is told so, for every seat there may be.
    function testFuzz_only_the_seats_own_verdict_key_speaks(address who, uint256 seat) public {
        Content memory c = content(1);
        vm.assume(seat > 2 || who != verdictKey(seat + 1));
        denied(who, abi.encodeCall(orders.approve, (c, seat, 0)), Why.Seat);
        denied(who, refusing(c, seat), Why.Seat);
    }

    function testFuzz_no_key_of_the_consortium_speaks_for_another(uint256 number, uint256 role, uint256 seat) public {
        (number, role, seat) = (1 + number % 3, role % 3, seat % 70);
        vm.assume(role != 0 || seat != number - 1);
        Content memory c = content(1);
        denied(addressOf(number, Role(role + 1)), approving(c, seat), Why.Seat);
        denied(builder, approving(c, seat), Why.Seat);
    }

    /// @dev The last second before the deadline counts, the deadline does not.
    function test_the_deadline_is_the_first_second_that_is_too_late() public {
        Content memory c = content(1);
        propose(c);
        approve(c, 1);
        vm.warp(c.deadline - 1);
        approve(c, 2);
        denied(builder, abi.encodeCall(orders.expire, (c)), Why.Early);
        vm.warp(c.deadline);
        denied(verdictKey(3), approving(c, 2), Why.Late);
        denied(verdictKey(3), refusing(c, 2), Why.Late);
        Content memory late = content(2);
        late.deadline = uint40(block.timestamp);
        denied(builder, proposing(late), Why.Late);
        act(address(77), abi.encodeCall(orders.expire, (c)));
        check(c, Status.Expired);
    }

    function test_a_deadline_is_at_most_ninety_days_away() public {
        Content memory c = content(1);
        c.deadline = uint40(block.timestamp + 90 days + 1);
        denied(builder, proposing(c), Why.TooFar);
        denied(verdictKey(1), approving(c, 0), Why.TooFar);
        refuse(c, 1);
        vm.warp(block.timestamp + 1);
        denied(verdictKey(1), refusing(c, 0), Why.Voted);
        approve(c, 2);
    }

    function test_only_the_named_and_registered_builder_proposes() public {
        Content memory c = content(1);
        denied(address(5), proposing(c), Why.Caller);
        denied(verdictKey(1), proposing(c), Why.Caller);
        c.builder = address(5);
        denied(builder, proposing(c), Why.Caller);
        denied(address(5), proposing(c), Why.Caller);
    }

    function test_a_builder_takes_its_order_back_though_removed() public {
        Content memory c = content(1);
        propose(c);
        denied(verdictKey(1), abi.encodeCall(orders.withdraw, (c)), Why.Caller);
        voteBy(motion(Kind.RemoveBuilder, abi.encode(builder)), 1 << 1);
        Content memory next = content(2);
        denied(builder, proposing(next), Why.Caller);
        act(builder, abi.encodeCall(orders.withdraw, (c)));
        check(c, Status.Withdrawn);
        denied(builder, abi.encodeCall(orders.withdraw, (c)), Why.State);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Content, Kind, Status, Why} from "../src/Types.sol";
import {Plant} from "./Plant.sol";

/// @title Act first, ratify later: by the safety authority alone, under a cap that only time or agreement gives back.
contract EmergencyTest is Plant {
    // The plant's terms: ratified within a day, 100,000 together, three at most. One order costs 45,600.

    function setUp() public {
        build(3);
    }

    function declaring(Content memory c) private view returns (bytes memory) {
        return abi.encodeCall(orders.proposeEmergency, (c, "leak"));
    }

    /// @dev An emergency that is not yet declared.
    function urgent(uint256 n, uint64 cost) private view returns (Content memory c) {
        c = content(n);
        (c.builder, c.cost) = (governor(3), cost);
    }

    function testFuzz_only_the_safety_authoritys_governance_key_declares(address who) public {
        vm.assume(who != governor(3));
        Content memory c = content(1);
        c.builder = who;
        denied(who, declaring(c), Why.Caller);
        c = content(2);
        propose(c);
        denied(who, abi.encodeCall(orders.escalate, (c, bytes32(0))), Why.Caller);
    }

    function test_the_safety_authority_names_itself_as_builder_and_no_other() public {
        Content memory c = content(1);
        denied(governor(3), declaring(c), Why.Caller);
        denied(verdictKey(3), declaring(urgent(1, 1)), Why.Caller);
    }

    function test_ratified_by_all_seats_the_safety_authority_by_its_verdict_key() public {
        Content memory c = emergency(1);
        check(c, Status.Emergency);
        approve(c, 1);
        approve(c, 2);
        denied(governor(3), approving(c, 2), Why.Seat);
        check(c, Status.Emergency);
        approve(c, 3);
        check(c, Status.Ratified);
        counted(0, 0, 0, 0);
    }

    function test_approvals_before_the_escalation_stay() public {
        Content memory c = content(1);
        approve(c, 1);
        propose(c);
        act(governor(3), abi.encodeCall(orders.escalate, (c, "worse")));
        approve(c, 2);
        approve(c, 3);
        check(c, Status.Ratified);
    }

    function test_verdicts_before_a_declared_emergency_settle_it_at_once() public {
        Content memory c = urgent(1, 1);
        for (uint256 n = 1; n <= 3; ++n) {
            approve(c, n);
        }
        act(governor(3), declaring(c));
        check(c, Status.Ratified);
        c = urgent(2, 5);
        refuse(c, 1);
        act(governor(3), declaring(c));
        check(c, Status.Contested);
        counted(0, 0, 5, 1);
    }

    function test_one_refusal_contests_and_weighs_on() public {
        Content memory c = emergency(1);
        approve(c, 2);
        refuse(c, 1);
        check(c, Status.Contested);
        counted(0, 0, 45_600, 1);
        denied(verdictKey(2), approving(c, 1), Why.State);
    }

    function test_anybody_contests_what_was_not_ratified_in_time() public {
        Content memory c = emergency(1);
        vm.warp(block.timestamp + 1 days - 1);
        denied(address(9), abi.encodeCall(orders.contest, (c)), Why.Early);
        approve(c, 1);
        vm.warp(block.timestamp + 1);
        denied(verdictKey(2), approving(c, 1), Why.Late);
        denied(verdictKey(2), refusing(c, 1), Why.Late);
        act(address(9), abi.encodeCall(orders.contest, (c)));
        check(c, Status.Contested);
        denied(address(9), abi.encodeCall(orders.contest, (c)), Why.State);
    }

    /// @dev In an emergency only seat, key and period count: the order's deadline may pass, the detector may go.
    function test_an_emergency_is_ratified_past_its_deadline_and_without_its_detector() public {
        Content memory c = urgent(1, 1);
        c.deadline = uint40(block.timestamp + 1);
        act(governor(3), declaring(c));
        pass(3, Kind.RevokeDetector, abi.encode(DETECTOR));
        vm.warp(block.timestamp + 1 hours);
        for (uint256 n = 1; n <= 3; ++n) {
            approve(c, n);
        }
        check(c, Status.Ratified);
    }

    function testFuzz_costs_open_together_stay_within_the_cap(uint64 a, uint64 b) public {
        Content memory first = urgent(1, a);
        Content memory second = urgent(2, b);
        (bool one,) = send(address(orders), governor(3), declaring(first));
        (bool two,) = send(address(orders), governor(3), declaring(second));
        (uint256 wa, uint256 wb) = (a == 0 ? 1 : a, b == 0 ? 1 : b);
        require(one == (wa <= 100_000), "first");
        require(two == ((one ? wa : 0) + wb <= 100_000), "second");
    }

    function test_number_is_capped_and_ratifying_gives_back_at_once() public {
        Content memory c = urgent(1, 0);
        act(governor(3), declaring(c));
        counted(1, 1, 0, 0);
        act(governor(3), declaring(urgent(2, 0)));
        act(governor(3), declaring(urgent(3, 0)));
        denied(governor(3), declaring(urgent(4, 0)), Why.Count);
        for (uint256 n = 1; n <= 3; ++n) {
            approve(c, n);
        }
        act(governor(3), declaring(urgent(4, 0)));
    }

    function test_a_contested_one_gives_back_ninety_days_after_the_last_contest() public {
        refuse(emergency(1), 1);
        refuse(emergency(2), 1);
        denied(governor(3), declaring(urgent(3, 10_000)), Why.Cap);
        vm.warp(block.timestamp + 90 days - 1);
        denied(governor(3), declaring(urgent(3, 10_000)), Why.Cap);
        vm.warp(block.timestamp + 1);
        act(governor(3), declaring(urgent(3, 10_000)));
        counted(10_000, 1, 0, 0);
    }

    function test_a_new_version_starts_its_count_anew() public {
        refuse(emergency(1), 1);
        refuse(emergency(2), 1);
        denied(governor(3), declaring(urgent(3, 45_600)), Why.Cap);
        version = register(3, version);
        emergency(3);
    }

    function test_a_refused_order_may_be_overridden_by_an_emergency_and_no_earlier() public {
        Content memory c = content(1);
        propose(c);
        Content memory over = urgent(1, 1);
        over.attempt = 2;
        denied(governor(3), declaring(over), Why.Held);
        refuse(c, 1);
        denied(governor(3), abi.encodeCall(orders.escalate, (c, bytes32(0))), Why.State);
        act(governor(3), declaring(over));
        check(over, Status.Emergency);
    }

    function counted(uint256 openCost, uint256 open, uint256 contestedCost, uint256 contested) private view {
        (uint64 a, uint16 b, uint64 c, uint16 d,) = orders.emergencies(version);
        require(a == openCost && b == open && c == contestedCost && d == contested, "counters");
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Consortium} from "../src/Consortium.sol";
import {MaintenanceOrders} from "../src/MaintenanceOrders.sol";
import {Registry} from "../src/Registry.sol";
import {Content, Kind, Status, Why} from "../src/Types.sol";
import {Plant} from "./Plant.sol";

/// @title One live order per evidence of an asset, numbered attempts, also across successors.
contract AttemptsTest is Plant {
    function setUp() public {
        build(3);
    }

    function again(Content memory c, uint24 attempt) private view returns (Content memory next) {
        next = abi.decode(abi.encode(c), (Content));
        next.attempt = attempt;
        next.deadline = uint40(block.timestamp + 3 days);
    }

    function test_the_first_attempt_is_one() public {
        Content memory c = content(1);
        c.attempt = 0;
        denied(builder, proposing(c), Why.Attempt);
        c.attempt = 2;
        denied(builder, proposing(c), Why.Attempt);
    }

    function test_a_new_attempt_follows_refused_expired_and_withdrawn() public {
        Content memory c = content(1);
        propose(c);
        denied(builder, proposing(again(c, 2)), Why.Held);
        refuse(c, 2);
        denied(builder, proposing(again(c, 1)), Why.Attempt);
        denied(builder, proposing(again(c, 3)), Why.Attempt);
        Content memory second = again(c, 2);
        propose(second);
        vm.warp(second.deadline);
        act(address(1), abi.encodeCall(orders.expire, (second)));
        Content memory third = again(second, 3);
        propose(third);
        act(builder, abi.encodeCall(orders.withdraw, (third)));
        propose(again(third, 4));
    }

    function test_nothing_follows_validated_completed_or_cancelled() public {
        Content memory c = validated(1);
        denied(builder, proposing(again(c, 2)), Why.Held);
        act(verdictKey(1), abi.encodeCall(orders.complete, (c, 4, 0)));
        denied(builder, proposing(again(c, 2)), Why.Held);
        c = validated(2);
        for (uint256 n = 1; n <= 3; ++n) {
            act(verdictKey(n), abi.encodeCall(orders.cancel, (c, n - 1)));
        }
        check(c, Status.Cancelled);
        denied(builder, proposing(again(c, 2)), Why.Held);
    }

    function test_a_contested_emergency_that_was_not_carried_out_frees_its_evidence() public {
        Content memory c = emergency(1);
        refuse(c, 1);
        Content memory next = again(c, 2);
        next.builder = builder;
        denied(builder, proposing(next), Why.Held);
        act(verdictKey(1), abi.encodeCall(orders.complete, (c, 4, 0)));
        propose(next);
        c = emergency(2);
        refuse(c, 1);
        act(verdictKey(1), abi.encodeCall(orders.complete, (c, 1, 0)));
        next = again(c, 2);
        next.builder = builder;
        denied(builder, proposing(next), Why.Held);
    }

    /// @dev Another asset's order over the same evidence is another matter: nobody occupies it.
    function test_evidence_is_held_per_asset() public {
        Content memory squat = content(1);
        bytes32 other = bytes32(uint256(2) << 248 | 7);
        Registry.Version memory v = terms(3, bytes32(0));
        (v.asset, v.host) = (other, 2);
        pass(3, Kind.RegisterVersion, abi.encode(v));
        squat.assetVersion = consortium.versionId(v);
        propose(squat);
        Content memory c = content(1);
        propose(c);
        check(c, Status.Proposed);
        check(squat, Status.Proposed);
        require(orders.latestOf(ASSET, c.evidence) == orders.idOf(c), "held by another asset");
    }

    // ---------------------------------------------------------------- successors

    function succeed() private returns (MaintenanceOrders old) {
        old = orders;
        orders = new MaintenanceOrders(consortium, old, GENESIS);
        pass(3, Kind.ListOrders, abi.encode(address(orders)));
    }

    function test_a_successor_asks_back_through_all_before_it() public {
        Content memory held = validated(1);
        Content memory refused = content(2);
        propose(refused);
        refuse(refused, 1);
        succeed();
        succeed();
        denied(builder, proposing(again(held, 2)), Why.Held);
        denied(builder, proposing(again(refused, 1)), Why.Attempt);
        Content memory next = again(refused, 2);
        propose(next);
        check(next, Status.Proposed);
        require(orders.latestOf(ASSET, next.evidence) == orders.idOf(next), "latest");
    }

    function test_what_is_open_on_an_old_contract_is_settled_and_closed_there() public {
        Content memory c = content(1);
        propose(c);
        approve(c, 1);
        MaintenanceOrders old = succeed();
        MaintenanceOrders newest = orders;
        orders = old;
        Content memory other = content(2);
        denied(builder, proposing(other), Why.Newest);
        approve(c, 2);
        approve(c, 3);
        check(c, Status.Validated);
        act(verdictKey(1), abi.encodeCall(orders.complete, (c, 1, 0)));
        orders = newest;
        denied(builder, proposing(c), Why.Held);
    }

    function test_a_contract_that_is_not_listed_cannot_propose() public {
        orders = new MaintenanceOrders(consortium, orders, GENESIS);
        Content memory c = content(1);
        denied(builder, proposing(c), Why.Newest);
    }

    /// @dev Two successors of one contract would both think that evidence is free.
    function test_only_a_contract_that_follows_the_newest_is_listed() public {
        MaintenanceOrders one = new MaintenanceOrders(consortium, orders, GENESIS);
        MaintenanceOrders two = new MaintenanceOrders(consortium, orders, GENESIS);
        MaintenanceOrders first = new MaintenanceOrders(consortium, MaintenanceOrders(address(0)), GENESIS);
        MaintenanceOrders foreign = new MaintenanceOrders(Consortium(address(9)), orders, GENESIS);
        unlisted(address(first));
        unlisted(address(foreign));
        unlisted(address(orders));
        unlisted(address(0xdead));
        pass(3, Kind.ListOrders, abi.encode(address(one)));
        unlisted(address(two));
        require(consortium.newestOrders() == address(one) && consortium.ordersCount() == 2, "newest");
    }

    function unlisted(address contract_) private {
        Consortium.Motion memory m = motion(Kind.ListOrders, abi.encode(contract_));
        voteBy(m, 1 << 1 | 1 << 2);
        barred(governor(3), abi.encodeCall(consortium.vote, (m)), Registry.WrongOrders.selector);
    }
}

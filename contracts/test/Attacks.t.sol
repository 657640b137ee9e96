// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Keys} from "../src/Keys.sol";
import {MaintenanceOrders} from "../src/MaintenanceOrders.sol";
import {Content, Kind, Role, Status, Why} from "../src/Types.sol";
import {Plant} from "./Plant.sol";

/// @title What somebody inside or outside may try while an order is under way.
contract AttacksTest is Plant {
    function setUp() public {
        build(3);
    }

    // ---------------------------------------------------------------- replay

    /// @dev The same content is another order in another contract, on another chain, with another block 0.
    function testFuzz_an_order_is_of_one_contract_chain_and_genesis(uint64 chain, bytes32 genesis) public {
        vm.assume(chain != 31_337 && genesis != GENESIS && chain != 0);
        Content memory c = content(1);
        bytes32 here = orders.idOf(c);
        MaintenanceOrders none = MaintenanceOrders(address(0));
        MaintenanceOrders twin = new MaintenanceOrders(consortium, none, GENESIS);
        MaintenanceOrders fork = new MaintenanceOrders(consortium, none, genesis);
        vm.chainId(chain);
        MaintenanceOrders abroad = new MaintenanceOrders(consortium, none, GENESIS);
        require(twin.idOf(c) != here && fork.idOf(c) != here && abroad.idOf(c) != here, "same id");
        require(abroad.idOf(c) != twin.idOf(c), "same id");
    }

    function test_verdicts_on_one_contract_say_nothing_on_another() public {
        Content memory c = validated(1);
        MaintenanceOrders old = orders;
        orders = new MaintenanceOrders(consortium, old, GENESIS);
        check(c, Status.None);
        require(orders.word(old.idOf(c)).approved() == 0, "carried over");
    }

    /// @dev Every field counts: nobody's approval covers a content that differs anywhere.
    function testFuzz_a_content_that_differs_anywhere_is_another_order(uint8 word, uint256 bit) public view {
        Content memory c = content(1);
        bytes memory data = abi.encode(c);
        uint256[9] memory widths = [uint256(256), 256, 256, 256, 256, 160, 64, 40, 24];
        bit = bit % widths[word % 9];
        uint256 index = 32 * uint256(word % 9) + 31 - bit / 8;
        data[index] = data[index] ^ bytes1(uint8(1 << (bit % 8)));
        require(orders.idOf(abi.decode(data, (Content))) != orders.idOf(c), "same id");
    }

    // ---------------------------------------------------------------- a builder gone bad

    /// @dev Junk costs its own evidence an attempt at most: the honest order comes after one refusal.
    function test_a_junk_proposal_is_refused_and_the_honest_order_follows() public {
        Content memory junk = content(1);
        junk.orderDigest = "junk";
        propose(junk);
        Content memory c = content(1);
        denied(builder, proposing(c), Why.Held);
        refuse(junk, 2);
        c.attempt = 2;
        propose(c);
        for (uint256 n = 1; n <= 3; ++n) {
            approve(c, n);
        }
        check(c, Status.Validated);
    }

    function test_approvals_of_an_order_do_not_help_another_attempt() public {
        Content memory c = content(1);
        propose(c);
        approve(c, 1);
        approve(c, 2);
        act(builder, abi.encodeCall(orders.withdraw, (c)));
        denied(verdictKey(3), approving(c, 2), Why.State);
        c.attempt = 2;
        propose(c);
        approve(c, 3);
        check(c, Status.Proposed);
    }

    // ---------------------------------------------------------------- in the middle

    function test_a_replaced_key_says_nothing_more_and_what_it_said_stays() public {
        Content memory c = content(1);
        propose(c);
        approve(c, 1);
        bytes memory held = proof(address(consortium), 7001, 1, Role.Verdict);
        govern(governor(1), abi.encodeCall(consortium.rotateVerdictKey, (vm.addr(7001), held)));
        denied(verdictKey(1), refusing(c, 0), Why.Seat);
        denied(vm.addr(7001), approving(c, 0), Why.Voted);
        act(vm.addr(7001), refusing(c, 0));
        check(c, Status.Refused);
    }

    /// @dev Whenever it happens: the verdict of an organisation that belongs no more never releases anything.
    function testFuzz_an_expelled_organisation_releases_nothing(uint8 moment, uint8 gone, bool urgent) public {
        Content memory c = content(1);
        if (urgent) c.builder = governor(3);
        gone = urgent ? 1 + gone % 2 : 1 + gone % 3;
        address[4] memory who = [c.builder, verdictKey(gone), verdictKey(1 + gone % 3), verdictKey(1 + (gone + 1) % 3)];
        bytes[4] memory calls = [
            urgent ? abi.encodeCall(orders.proposeEmergency, (c, bytes32(0))) : proposing(c),
            approving(c, gone - 1),
            approving(c, gone % 3),
            approving(c, (gone + 1) % 3)
        ];
        for (uint256 i = 0; i < 4; ++i) {
            if (i == moment % 4) expel(gone, 3);
            send(address(orders), who[i], calls[i]);
        }
        require(uint8(orders.statusOf(orders.idOf(c))) <= uint8(Status.Emergency), "released");
        if (!urgent && moment % 4 > 1) denied(who[3], calls[3], Why.Member);
    }

    function test_a_proposal_over_a_complete_set_with_an_expelled_member_is_rejected() public {
        Content memory c = content(1);
        for (uint256 n = 1; n <= 3; ++n) {
            approve(c, n);
        }
        expel(3, 3);
        denied(builder, proposing(c), Why.Member);
    }

    function test_a_readmitted_organisation_does_not_bring_its_old_verdict_back() public {
        Content memory c = content(1);
        propose(c);
        approve(c, 3);
        expel(3, 3);
        voteBy(motion(Kind.AddOrganisation, admitted(4)), 1 << 1 | 1 << 2);
        approve(c, 1);
        denied(verdictKey(2), approving(c, 1), Why.Member);
        denied(verdictKey(4), approving(c, 2), Why.Seat);
    }

    function admitted(uint256 number) private view returns (bytes memory) {
        (Keys.Organisation memory keys, Keys.Proofs memory proofs) = organisation(address(consortium), number);
        return abi.encode(keys, proofs);
    }

    function test_a_revoked_detector_stops_approvals_and_not_refusals() public {
        Content memory c = content(1);
        Content memory open = content(2);
        propose(c);
        propose(open);
        approve(c, 1);
        pass(3, Kind.RevokeDetector, abi.encode(DETECTOR));
        denied(verdictKey(2), approving(c, 1), Why.Detector);
        denied(governor(3), abi.encodeCall(orders.escalate, (c, bytes32(0))), Why.Detector);
        Content memory next = content(3);
        denied(builder, proposing(next), Why.Detector);
        refuse(c, 2);
        check(c, Status.Refused);
        act(address(9), abi.encodeCall(orders.expire, (open)));
        check(open, Status.Expired);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Consortium} from "../src/Consortium.sol";
import {Keys} from "../src/Keys.sol";
import {Registry} from "../src/Registry.sol";
import {Kind, Life, Role} from "../src/Types.sol";
import {Plant} from "./Plant.sol";

/// @title Motions: whom each kind concerns, votes given, taken back and outdated, and their end.
contract MotionsTest is Plant {
    uint256 private constant ALL = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4;
    bytes32 private constant THING = keccak256("thing");

    function setUp() public {
        build(4);
        uint8[] memory seats = new uint8[](2);
        (seats[0], seats[1]) = (1, 2);
        Registry.Version memory v = terms(4, version);
        (v.seats, v.safety) = (seats, 0);
        pass(4, Kind.RegisterVersion, abi.encode(v));
        version = consortium.versionId(v);
    }

    function concerns(Kind kind, bytes memory data, uint256 who) private {
        require(consortium.concerned(motion(kind, data)) == who, "concerns others");
    }

    function admission(uint256 number) private view returns (bytes memory) {
        (Keys.Organisation memory keys, Keys.Proofs memory proofs) = organisation(address(consortium), number);
        return abi.encode(keys, proofs);
    }

    /// @dev The asset's seats are 1 and 2 by now.
    function test_each_kind_concerns_whom_it_must() public {
        concerns(Kind.AddOrganisation, admission(5), ALL);
        concerns(Kind.AddDetector, abi.encode(THING), ALL);
        concerns(Kind.RevokeDetector, abi.encode(DETECTOR), ALL);
        concerns(Kind.AddBuilder, abi.encode(address(5), uint256(1), bytes("")), ALL);
        concerns(Kind.ListOrders, abi.encode(address(orders)), ALL);
        concerns(Kind.Expel, abi.encode(uint256(2)), ALL & ~uint256(1 << 2));
        Keys.Organisation memory keys;
        Keys.Proofs memory proofs;
        concerns(Kind.Recover, abi.encode(uint256(3), keys, proofs), ALL & ~uint256(1 << 3));
        concerns(Kind.AddDevice, abi.encode(ASSET, THING), 1 << 1 | 1 << 2);
        concerns(Kind.RevokeDevice, abi.encode(ASSET, THING), 1 << 1 | 1 << 2);
        concerns(Kind.RemoveBuilder, abi.encode(builder), ALL & ~uint256(1 << 1));
        Registry.Version memory v = terms(3, version);
        concerns(Kind.RegisterVersion, abi.encode(v), 1 << 1 | 1 << 2 | 1 << 3);
        (v.asset, v.previous) = (bytes32(uint256(4) << 248), 0);
        concerns(Kind.RegisterVersion, abi.encode(v), 1 << 1 | 1 << 2 | 1 << 3);
    }

    /// @dev For any set of voters: done exactly when all whom it concerns are among them.
    function testFuzz_a_motion_passes_when_all_whom_it_concerns_agree(uint8 voters, uint8 which) public {
        uint256 who = uint256(voters) & ALL;
        bytes[4] memory data =
            [abi.encode(THING), abi.encode(ASSET, THING), abi.encode(uint256(4)), abi.encode(builder)];
        Kind kind = [Kind.AddDetector, Kind.AddDevice, Kind.Expel, Kind.RemoveBuilder][which % 4];
        uint256 need = [ALL, 1 << 1 | 1 << 2, ALL & ~uint256(1 << 4), ALL][which % 4];
        Consortium.Motion memory m = motion(kind, data[which % 4]);
        bytes memory vote = abi.encodeCall(consortium.vote, (m));
        for (uint256 n = 1; n <= 4; ++n) {
            if (who & (1 << n) != 0) send(address(consortium), governor(n), vote);
        }
        bool passes = who & need == need;
        // A builder goes by its sponsor alone, or by all others.
        if (kind == Kind.RemoveBuilder) passes = who & 2 != 0 || who & (ALL & ~uint256(2)) == ALL & ~uint256(2);
        require(consortium.executed(consortium.nameOf(m)) == passes, "passed");
    }

    function test_a_vote_taken_back_does_not_count() public {
        Consortium.Motion memory m = motion(Kind.AddDetector, abi.encode(THING));
        voteBy(m, 1 << 1);
        govern(governor(1), abi.encodeCall(consortium.unvote, (m)));
        voteBy(m, ALL & ~uint256(2));
        require(consortium.detectorOf(THING) == Life.Unknown, "counted");
        barred(address(5), abi.encodeCall(consortium.execute, (m)), Consortium.VotesMissing.selector);
        voteBy(m, 1 << 1);
        require(consortium.detectorOf(THING) == Life.Live, "did not count");
    }

    function test_a_vote_counts_while_its_key_is_current() public {
        Consortium.Motion memory m = motion(Kind.AddDetector, abi.encode(THING));
        voteBy(m, 1 << 1);
        bytes memory held = proof(address(consortium), 7001, 1, Role.Governance);
        govern(governor(1), abi.encodeCall(consortium.rotateGovernanceKey, (vm.addr(7001), held)));
        voteBy(m, ALL & ~uint256(2));
        barred(governor(1), abi.encodeCall(consortium.vote, (m)), Keys.WrongRole.selector);
        require(consortium.detectorOf(THING) == Life.Unknown, "an outdated vote counted");
        govern(vm.addr(7001), abi.encodeCall(consortium.vote, (m)));
        require(consortium.detectorOf(THING) == Life.Live, "the current key's vote did not");
    }

    function test_anybody_executes_once_the_missing_one_has_left() public {
        Consortium.Motion memory m = motion(Kind.AddDetector, abi.encode(THING));
        voteBy(m, ALL & ~uint256(1 << 4));
        barred(address(5), abi.encodeCall(consortium.execute, (m)), Consortium.VotesMissing.selector);
        expel(4, 4);
        govern(address(5), abi.encodeCall(consortium.execute, (m)));
        require(consortium.detectorOf(THING) == Life.Live, "not executed");
        barred(address(5), abi.encodeCall(consortium.execute, (m)), Consortium.MotionDone.selector);
        barred(governor(1), abi.encodeCall(consortium.vote, (m)), Consortium.MotionDone.selector);
        barred(governor(1), abi.encodeCall(consortium.unvote, (m)), Consortium.MotionDone.selector);
    }

    function test_a_motion_expires_and_lives_at_most_ninety_days() public {
        Consortium.Motion memory m = motion(Kind.AddDetector, abi.encode(THING));
        voteBy(m, ALL & ~uint256(2));
        vm.warp(m.expires);
        barred(governor(1), abi.encodeCall(consortium.vote, (m)), Consortium.MotionExpires.selector);
        barred(address(5), abi.encodeCall(consortium.execute, (m)), Consortium.MotionExpires.selector);
        m.expires = uint40(block.timestamp + 90 days + 1);
        barred(governor(1), abi.encodeCall(consortium.vote, (m)), Consortium.MotionExpires.selector);
        m.expires -= 1;
        voteBy(m, 1 << 1);
    }

    function test_the_same_thing_is_moved_again_by_another_salt_and_checked_again() public {
        pass(4, Kind.AddDetector, abi.encode(THING));
        Consortium.Motion memory m = motion(Kind.AddDetector, abi.encode(THING));
        voteBy(m, ALL & ~uint256(1 << 4));
        barred(governor(4), abi.encodeCall(consortium.vote, (m)), Registry.WrongLife.selector);
    }

    function testFuzz_only_governance_keys_vote(address who) public {
        for (uint256 n = 1; n <= 4; ++n) {
            vm.assume(who != governor(n));
        }
        Consortium.Motion memory m = motion(Kind.AddDetector, abi.encode(THING));
        barred(who, abi.encodeCall(consortium.vote, (m)), Keys.WrongRole.selector);
        barred(verdictKey(1), abi.encodeCall(consortium.vote, (m)), Keys.WrongRole.selector);
    }

    function test_a_motion_is_of_one_consortium_on_one_chain() public {
        Consortium.Motion memory m = motion(Kind.AddDetector, abi.encode(THING));
        bytes32 here = consortium.nameOf(m);
        vm.chainId(99);
        require(consortium.nameOf(m) != here, "same name on another chain");
        vm.chainId(31_337);
        Consortium old = consortium;
        build(4);
        require(consortium.nameOf(m) != old.nameOf(m), "same name in another consortium");
    }

    /// @dev Of three, two expel the third; of the two that remain neither decides over the other.
    function test_nobody_is_expelled_or_recovered_by_one_alone() public {
        expel(4, 4);
        expel(3, 3);
        Consortium.Motion memory m = motion(Kind.Expel, abi.encode(uint256(2)));
        barred(governor(1), abi.encodeCall(consortium.vote, (m)), Consortium.ConcernsTooFew.selector);
        Keys.Organisation memory keys;
        Keys.Proofs memory proofs;
        m = motion(Kind.Recover, abi.encode(uint256(2), keys, proofs));
        barred(governor(1), abi.encodeCall(consortium.vote, (m)), Consortium.ConcernsTooFew.selector);
        m = motion(Kind.Expel, abi.encode(uint256(3)));
        barred(governor(1), abi.encodeCall(consortium.vote, (m)), Keys.NotMember.selector);
    }

    function test_who_was_expelled_is_admitted_anew_under_a_new_number_with_new_keys() public {
        expel(4, 4);
        Consortium.Motion memory m = motion(Kind.AddOrganisation, admission(4));
        voteBy(m, 1 << 1 | 1 << 2);
        barred(governor(3), abi.encodeCall(consortium.vote, (m)), Keys.KeyNotProven.selector);
        voteBy(motion(Kind.AddOrganisation, admission(5)), 1 << 1 | 1 << 2 | 1 << 3);
        require(consortium.members() == (1 << 1 | 1 << 2 | 1 << 3 | 1 << 5), "members");
    }

    function test_a_builder_is_added_with_a_proof_and_goes_by_its_sponsor_or_by_all_others() public {
        address one = vm.addr(7001);
        bytes memory held = proof(address(consortium), 7001, 2, Role.Builder);
        pass(4, Kind.AddBuilder, abi.encode(one, uint256(2), held));
        require(consortium.roleOf(one) == (uint256(Role.Builder) | (2 << 8)), "sponsor");
        voteBy(motion(Kind.RemoveBuilder, abi.encode(one)), ALL & ~uint256(1 << 2));
        require(uint8(consortium.roleOf(one)) == uint8(Role.Retired), "still there");
        Consortium.Motion memory m = motion(Kind.RemoveBuilder, abi.encode(verdictKey(3)));
        barred(governor(3), abi.encodeCall(consortium.vote, (m)), Keys.WrongRole.selector);
    }
}

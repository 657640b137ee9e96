// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Consortium} from "../src/Consortium.sol";
import {Keys} from "../src/Keys.sol";
import {Kind, Role} from "../src/Types.sol";
import {Plant} from "./Plant.sol";

/// @title Keys: proven before they are taken, one role per address for ever, replaced, recovered, retired.
contract KeysTest is Plant {
    uint256 private constant NEW = 7001;
    uint256 private constant NEWER = 7002;

    function setUp() public {
        build(3);
    }

    function proven(uint256 key, uint256 number, Role role) private view returns (bytes memory) {
        return proof(address(consortium), key, number, role);
    }

    function rotating(uint256 key, uint256 number) private view returns (bytes memory) {
        return abi.encodeCall(consortium.rotateVerdictKey, (vm.addr(key), proven(key, number, Role.Verdict)));
    }

    function recovering(uint256 number) private view returns (bytes memory) {
        (bytes memory one, bytes memory two) =
            (proven(NEW, number, Role.Verdict), proven(NEWER, number, Role.Governance));
        return abi.encodeCall(consortium.startRecovery, (vm.addr(NEW), one, vm.addr(NEWER), two));
    }

    function finishing(uint256 number) private view returns (bytes memory) {
        return abi.encodeCall(consortium.finishRecovery, (number));
    }

    function has(address key, Role role, uint256 number) private view {
        require(consortium.roleOf(key) == (uint256(role) | (number << 8)), "role");
    }

    function test_a_key_is_replaced_at_once_and_the_old_one_is_worth_nothing() public {
        govern(governor(1), rotating(NEW, 1));
        has(vm.addr(NEW), Role.Verdict, 1);
        has(verdictKey(1), Role.Retired, 1);
        barred(verdictKey(1), rotating(NEWER, 1), Keys.WrongRole.selector);
    }

    /// @dev A possession proof is for one contract, chain, organisation and role: nobody occupies another's address.
    function test_a_proof_for_anything_else_does_not_take_a_key() public {
        address key = vm.addr(NEW);
        bytes[5] memory wrong = [
            proven(NEW, 2, Role.Verdict),
            proven(NEW, 1, Role.Governance),
            proof(address(orders), NEW, 1, Role.Verdict),
            proven(NEWER, 1, Role.Verdict),
            bytes("")
        ];
        for (uint256 i = 0; i < wrong.length; ++i) {
            bytes memory data = abi.encodeCall(consortium.rotateVerdictKey, (key, wrong[i]));
            barred(governor(1), data, Keys.KeyNotProven.selector);
        }
        bytes memory elsewhere = proven(NEW, 1, Role.Verdict);
        vm.chainId(99);
        bytes memory replayed = abi.encodeCall(consortium.rotateVerdictKey, (key, elsewhere));
        barred(governor(1), replayed, Keys.KeyNotProven.selector);
    }

    function testFuzz_junk_is_no_proof(address key, bytes calldata junk) public {
        bytes memory data = abi.encodeCall(consortium.rotateVerdictKey, (key, junk));
        barred(governor(1), data, Keys.KeyNotProven.selector);
    }

    function test_the_zero_address_is_no_key_though_a_broken_signature_recovers_to_it() public {
        bytes memory broken = abi.encodePacked(bytes32(0), bytes32(0), uint8(0));
        bytes memory data = abi.encodeCall(consortium.rotateVerdictKey, (address(0), broken));
        barred(governor(1), data, Keys.KeyNotProven.selector);
    }

    /// @dev Whatever an address is or was, it never becomes anything else, not even for its own organisation.
    function test_one_role_per_address_for_ever() public {
        uint256[5] memory used = [keyOf(1, Role.Verdict), keyOf(1, Role.Governance), keyOf(1, Role.Recovery), BUILDER, 0];
        govern(governor(2), rotating(NEW, 2));
        used[4] = keyOf(2, Role.Verdict);
        for (uint256 i = 0; i < used.length; ++i) {
            barred(governor(1), rotating(used[i], 1), Keys.KeyTaken.selector);
        }
        barred(governor(2), rotating(NEW, 2), Keys.KeyTaken.selector);
    }

    function testFuzz_only_ones_own_governance_key_rotates(address who) public {
        vm.assume(who != governor(1) && who != governor(2) && who != governor(3));
        barred(who, rotating(NEW, 1), Keys.WrongRole.selector);
    }

    // ---------------------------------------------------------------- recovery

    function test_the_recovery_key_replaces_both_after_the_notice() public {
        govern(addressOf(1, Role.Recovery), recovering(1));
        barred(address(5), finishing(1), Keys.NotYet.selector);
        vm.warp(block.timestamp + 1 days - 1);
        barred(address(5), finishing(1), Keys.NotYet.selector);
        vm.warp(block.timestamp + 1);
        govern(address(5), finishing(1));
        has(vm.addr(NEW), Role.Verdict, 1);
        has(vm.addr(NEWER), Role.Governance, 1);
        has(governor(1), Role.Retired, 1);
        has(addressOf(1, Role.Recovery), Role.Recovery, 1);
        barred(address(5), finishing(1), Keys.NotYet.selector);
    }

    function test_nobody_else_starts_a_recovery() public {
        barred(governor(1), recovering(1), Keys.WrongRole.selector);
        barred(address(5), recovering(1), Keys.WrongRole.selector);
        barred(addressOf(2, Role.Recovery), recovering(1), Keys.KeyNotProven.selector);
    }

    /// @dev The governance key is not lost after all: cancelling, or replacing any of its keys, stops what was started.
    function test_a_governance_key_that_is_used_stops_a_recovery() public {
        bytes[4] memory ways = [
            abi.encodeCall(consortium.cancelRecovery, ()),
            rotating(7101, 1),
            abi.encodeCall(consortium.rotateRecoveryKey, (vm.addr(7102), proven(7102, 1, Role.Recovery))),
            abi.encodeCall(consortium.rotateGovernanceKey, (vm.addr(7103), proven(7103, 1, Role.Governance)))
        ];
        address thief = addressOf(1, Role.Recovery);
        for (uint256 i = 0; i < ways.length; ++i) {
            govern(thief, recovering(1));
            govern(governor(1), ways[i]);
            if (i == 2) thief = vm.addr(7102);
            vm.warp(block.timestamp + 2 days);
            barred(thief, finishing(1), Keys.NotYet.selector);
        }
    }

    function lost(uint256 number) private view returns (bytes memory) {
        Keys.Organisation memory keys = Keys.Organisation(vm.addr(NEW), vm.addr(NEWER), vm.addr(7003));
        Keys.Proofs memory proofs = Keys.Proofs(
            proven(NEW, number, Role.Verdict), proven(NEWER, number, Role.Governance), proven(7003, number, Role.Recovery)
        );
        return abi.encode(number, keys, proofs);
    }

    function test_all_keys_lost_are_replaced_by_all_others_after_the_notice() public {
        Consortium.Motion memory m = motion(Kind.Recover, lost(1));
        voteBy(m, 1 << 2);
        require(!consortium.executed(consortium.nameOf(m)), "one decided alone");
        voteBy(m, 1 << 3);
        barred(address(5), finishing(1), Keys.NotYet.selector);
        vm.warp(block.timestamp + 1 days);
        govern(address(5), finishing(1));
        has(vm.addr(7003), Role.Recovery, 1);
        has(addressOf(1, Role.Recovery), Role.Retired, 1);
    }

    function test_a_recovery_by_motion_is_cancelled_by_the_governance_key() public {
        voteBy(motion(Kind.Recover, lost(1)), 1 << 2 | 1 << 3);
        govern(governor(1), abi.encodeCall(consortium.cancelRecovery, ()));
        vm.warp(block.timestamp + 2 days);
        barred(address(5), finishing(1), Keys.NotYet.selector);
    }

    // ---------------------------------------------------------------- leaving

    function test_leaving_takes_the_notice_and_may_be_taken_back() public {
        govern(governor(3), abi.encodeCall(consortium.announceLeave, ()));
        barred(address(5), abi.encodeCall(consortium.finishLeave, (3)), Keys.NotYet.selector);
        govern(governor(3), abi.encodeCall(consortium.cancelLeave, ()));
        vm.warp(block.timestamp + 2 days);
        barred(address(5), abi.encodeCall(consortium.finishLeave, (3)), Keys.NotYet.selector);
        govern(governor(3), abi.encodeCall(consortium.announceLeave, ()));
        vm.warp(block.timestamp + 1 days);
        govern(address(5), abi.encodeCall(consortium.finishLeave, (3)));
        require(consortium.members() == (1 << 1 | 1 << 2), "members");
        has(verdictKey(3), Role.Retired, 3);
        barred(governor(3), abi.encodeCall(consortium.announceLeave, ()), Keys.WrongRole.selector);
        barred(address(5), abi.encodeCall(consortium.finishLeave, (3)), Keys.NotYet.selector);
    }

    function test_an_expelled_organisation_cannot_be_recovered() public {
        govern(addressOf(3, Role.Recovery), recovering(3));
        expel(3, 3);
        vm.warp(block.timestamp + 2 days);
        barred(address(5), finishing(3), Keys.NotYet.selector);
        barred(addressOf(3, Role.Recovery), recovering(3), Keys.WrongRole.selector);
    }
}

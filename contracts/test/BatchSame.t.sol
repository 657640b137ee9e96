// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Content, Word} from "../src/Types.sol";
import {Plant} from "./Plant.sol";

interface Snapshots {
    function snapshotState() external returns (uint256);
    function revertToState(uint256 snapshot) external returns (bool);
}

/// @title A batch does what single calls would do, one after the other, whatever state its orders are in.
/// @notice The proofs cover batches of proposals; verdicts in batches are compared here with the single calls that are proven.
contract BatchSameTest is Plant {
    uint256 private constant SIZE = 6;
    uint16 private constant REASON = 7;

    function setUp() public {
        build(3);
    }

    /// @dev Orders in states that the seed chooses: any verdicts of any seats, with or without proposal, some there twice.
    function mixed(uint256 seed) private returns (Content[] memory cs, uint256[] memory seats, bytes32[] memory details) {
        cs = new Content[](SIZE);
        seats = new uint256[](SIZE);
        details = new bytes32[](SIZE);
        for (uint256 i = 0; i < SIZE; ++i) {
            uint256 dice = uint256(keccak256(abi.encode(seed, i)));
            cs[i] = content(dice % 4);
            if (dice & 0x100 != 0) send(address(orders), builder, proposing(cs[i]));
            for (uint256 n = 1; n <= 3; ++n) {
                uint256 verdict = (dice >> (16 + 8 * n)) % 4;
                if (verdict == 1) send(address(orders), verdictKey(n), approving(cs[i], n - 1));
                if (verdict == 2) send(address(orders), verdictKey(n), refusing(cs[i], n - 1));
            }
            seats[i] = dice & 0x700 == 0 ? 1 : 0;
            details[i] = bytes32(dice);
        }
        if (seed & 1 != 0) vm.warp(block.timestamp + 3 days);
    }

    function words(Content[] memory cs) private view returns (bytes32 sum) {
        for (uint256 i = 0; i < cs.length; ++i) {
            Word w = orders.word(orders.idOf(cs[i]));
            sum = keccak256(abi.encode(sum, w));
        }
    }

    /// @dev Runs the single calls, takes them back, runs the batch, compares every word.
    function same(Content[] memory cs, address from, bytes[] memory singles, bytes memory batch) private {
        Snapshots snapshots = Snapshots(address(vm));
        uint256 before = snapshots.snapshotState();
        for (uint256 i = 0; i < singles.length; ++i) {
            send(address(orders), from, singles[i]);
        }
        bytes32 expected = words(cs);
        require(snapshots.revertToState(before), "revert");
        act(from, batch);
        require(words(cs) == expected, "a batch did something else");
    }

    function testFuzz_proposals(uint256 seed) public {
        (Content[] memory cs,,) = mixed(seed);
        bytes[] memory singles = new bytes[](SIZE);
        for (uint256 i = 0; i < SIZE; ++i) {
            singles[i] = proposing(cs[i]);
        }
        same(cs, builder, singles, abi.encodeCall(orders.proposeBatch, (cs)));
    }

    function testFuzz_approvals(uint256 seed) public {
        (Content[] memory cs, uint256[] memory seats, bytes32[] memory results) = mixed(seed);
        bytes[] memory singles = new bytes[](SIZE);
        for (uint256 i = 0; i < SIZE; ++i) {
            singles[i] = abi.encodeCall(orders.approve, (cs[i], seats[i], results[i]));
        }
        same(cs, verdictKey(1), singles, abi.encodeCall(orders.approveBatch, (cs, seats, results)));
    }

    function testFuzz_refusals(uint256 seed) public {
        (Content[] memory cs, uint256[] memory seats, bytes32[] memory details) = mixed(seed);
        bytes[] memory singles = new bytes[](SIZE);
        uint16[] memory reasons = new uint16[](SIZE);
        for (uint256 i = 0; i < SIZE; ++i) {
            reasons[i] = REASON;
            singles[i] = abi.encodeCall(orders.refuse, (cs[i], seats[i], REASON, details[i]));
        }
        same(cs, verdictKey(1), singles, abi.encodeCall(orders.refuseBatch, (cs, seats, reasons, details)));
    }
}

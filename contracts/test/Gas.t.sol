// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Role, Content, Status} from "../src/Types.sol";
import {Plant} from "./Plant.sol";

/// @title Gas of whole transactions (run with --isolate): three seats, keys and version used before, order slots new.
contract GasTest is Plant {
    event Gas(string what, uint256 gas);

    function setUp() public {
        build(3);
        Content memory c = content(0);
        propose(c);
        for (uint256 n = 1; n <= 3; ++n) {
            approve(c, n);
        }
    }

    /// @dev With --isolate each call is a transaction of its own; this is what its receipt would say.
    function measured(address from, bytes memory data) private returns (uint256) {
        vm.prank(from);
        (bool done,) = address(orders).call(data);
        require(done, "call");
        return vm.lastCallGas().gasTotalUsed;
    }

    function test_gas_propose_and_three_approvals() public {
        Content memory c = content(1);
        uint256 sum = measured(builder, abi.encodeCall(orders.propose, (c)));
        emit Gas("propose", sum);
        for (uint256 n = 1; n <= 3; ++n) {
            uint256 one = measured(addressOf(n, Role.Verdict), abi.encodeCall(orders.approve, (c, n - 1, bytes32(n))));
            emit Gas("approve", one);
            sum += one;
        }
        emit Gas("propose + 3 approvals", sum);
        check(c, Status.Validated);
        require(sum <= 240_000, "too dear");
    }

    function test_gas_per_order_in_batches_of_20() public {
        uint256 n = 20;
        Content[] memory cs = new Content[](n);
        uint256[] memory seats = new uint256[](n);
        bytes32[] memory results = new bytes32[](n);
        for (uint256 i = 0; i < n; ++i) {
            (cs[i], results[i]) = (content(100 + i), keccak256(abi.encode(i)));
        }
        uint256 sum = measured(builder, abi.encodeCall(orders.proposeBatch, (cs)));
        for (uint256 number = 1; number <= 3; ++number) {
            for (uint256 i = 0; i < n; ++i) {
                seats[i] = number - 1;
            }
            bytes memory data = abi.encodeCall(orders.approveBatch, (cs, seats, results));
            sum += measured(addressOf(number, Role.Verdict), data);
        }
        emit Gas("per order in batches of 20", sum / n);
        check(cs[19], Status.Validated);
        require(sum / n <= 125_000, "too dear");
    }
}

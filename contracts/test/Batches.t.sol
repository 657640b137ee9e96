// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {OrderBase} from "../src/OrderBase.sol";
import {Content, Status, Why} from "../src/Types.sol";
import {Plant} from "./Plant.sol";

/// @title Batches: what does not apply is left out, what is malformed fails the whole; and high bits of packed fields.
contract BatchesTest is Plant {
    /// @dev Where a content's words begin in the calldata of a single call; its packed fields are words 5 to 8.
    uint256 private constant HEAD = 4;

    function setUp() public {
        build(3);
    }

    function many(uint256 count) private view returns (Content[] memory cs) {
        cs = new Content[](count);
        for (uint256 i = 0; i < count; ++i) {
            cs[i] = content(i);
        }
    }

    function votes(uint256 count, uint256 seat) private pure returns (uint256[] memory seats, bytes32[] memory results) {
        (seats, results) = (new uint256[](count), new bytes32[](count));
        for (uint256 i = 0; i < count; ++i) {
            seats[i] = seat;
        }
    }

    function malformed(address from, bytes memory data) private {
        (bool done,) = send(address(orders), from, data);
        require(!done, "a malformed call was taken");
    }

    function test_a_full_batch_goes_from_proposal_to_validated() public {
        Content[] memory cs = many(64);
        act(builder, abi.encodeCall(orders.proposeBatch, (cs)));
        for (uint256 n = 1; n <= 3; ++n) {
            (uint256[] memory seats, bytes32[] memory results) = votes(64, n - 1);
            act(verdictKey(n), abi.encodeCall(orders.approveBatch, (cs, seats, results)));
        }
        for (uint256 i = 0; i < 64; ++i) {
            check(cs[i], Status.Validated);
        }
    }

    function test_a_batch_has_one_to_sixty_four_items_and_lists_of_one_length() public {
        failing(abi.encodeCall(orders.proposeBatch, (many(0))));
        failing(abi.encodeCall(orders.proposeBatch, (many(65))));
        (uint256[] memory seats, bytes32[] memory results) = votes(2, 0);
        failing(abi.encodeCall(orders.approveBatch, (many(3), seats, results)));
        failing(abi.encodeCall(orders.approveBatch, (many(2), seats, new bytes32[](1))));
        failing(abi.encodeCall(orders.refuseBatch, (many(2), seats, new uint16[](1), results)));
        failing(abi.encodeCall(orders.refuseBatch, (many(2), seats, new uint16[](2), new bytes32[](3))));
        failing(abi.encodeCall(orders.refuseBatch, (many(0), new uint256[](0), new uint16[](0), new bytes32[](0))));
    }

    function failing(bytes memory data) private {
        (bool done, bytes memory answer) = send(address(orders), builder, data);
        require(!done && bytes4(answer) == OrderBase.BadBatch.selector, "not a bad batch");
    }

    /// @dev Every subset of a batch that does not apply is left out, the rest is done.
    function testFuzz_what_does_not_apply_is_skipped(uint8 proposed) public {
        Content[] memory cs = many(8);
        for (uint256 i = 0; i < 8; ++i) {
            if (proposed & (1 << i) != 0) propose(cs[i]);
        }
        act(builder, abi.encodeCall(orders.proposeBatch, (cs)));
        for (uint256 i = 0; i < 8; ++i) {
            check(cs[i], Status.Proposed);
        }
    }

    function test_an_item_given_twice_is_skipped_once() public {
        Content[] memory cs = many(2);
        cs[1] = cs[0];
        act(builder, abi.encodeCall(orders.proposeBatch, (cs)));
        (uint256[] memory seats, bytes32[] memory results) = votes(2, 0);
        act(verdictKey(1), abi.encodeCall(orders.approveBatch, (cs, seats, results)));
        require(orders.word(orders.idOf(cs[0])).approved() == 1, "approved");
        act(verdictKey(1), abi.encodeCall(orders.refuseBatch, (cs, seats, new uint16[](2), results)));
        check(cs[0], Status.Refused);
    }

    function test_a_stranger_changes_nothing_by_a_batch() public {
        Content[] memory cs = many(2);
        (uint256[] memory seats, bytes32[] memory results) = votes(2, 0);
        act(address(9), abi.encodeCall(orders.proposeBatch, (cs)));
        act(address(9), abi.encodeCall(orders.approveBatch, (cs, seats, results)));
        act(address(9), abi.encodeCall(orders.refuseBatch, (cs, seats, new uint16[](2), results)));
        for (uint256 i = 0; i < 2; ++i) {
            require(orders.word(orders.idOf(cs[i])).approved() == 0, "approved");
            require(orders.word(orders.idOf(cs[i])).against() == 0, "refused");
            check(cs[i], Status.None);
        }
    }

    // ---------------------------------------------------------------- high bits

    /// @dev The calldata with one bit set that the field has no room for.
    function dirty(bytes memory data, uint256 word, uint256 width, uint256 bit) private pure returns (bytes memory) {
        bit = width + bit % (256 - width);
        uint256 index = HEAD + 32 * word + 31 - bit / 8;
        data[index] = bytes1(uint8(data[index]) | uint8(1 << (bit % 8)));
        return data;
    }

    function testFuzz_high_bits_of_no_field_pass(uint8 field, uint8 bit) public {
        uint256 width = [160, 64, 40, 24][field % 4];
        uint256 word = 5 + field % 4;
        Content memory c = content(1);
        malformed(builder, dirty(proposing(c), word, width, bit));
        malformed(verdictKey(1), dirty(approving(c, 0), word, width, bit));
        malformed(verdictKey(1), dirty(refusing(c, 0), word, width, bit));
        Content memory done = validated(2);
        bytes memory data = abi.encodeCall(orders.complete, (done, 1, 0));
        malformed(verdictKey(1), dirty(data, 9, 8, bit));
        malformed(verdictKey(1), dirty(refusing(c, 0), 10, 16, bit));
        check(c, Status.None);
        check(done, Status.Validated);
    }

    /// @dev In a batch the offset, the length and one content come first.
    function testFuzz_one_malformed_item_fails_the_batch(uint8 field, uint8 bit) public {
        uint256 width = [160, 64, 40, 24][field % 4];
        Content[] memory cs = many(2);
        bytes memory data = abi.encodeCall(orders.proposeBatch, (cs));
        malformed(builder, dirty(data, 2 + 9 + 5 + field % 4, width, bit));
        check(cs[0], Status.None);
    }

    function test_truncated_calldata_is_malformed() public {
        Content memory c = content(1);
        bytes memory data = proposing(c);
        bytes memory shorter = new bytes(data.length - 1);
        for (uint256 i = 0; i < shorter.length; ++i) {
            shorter[i] = data[i];
        }
        malformed(builder, shorter);
    }
}

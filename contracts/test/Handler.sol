// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Content} from "../src/Types.sol";
import {Plant} from "./Plant.sol";

/// @title Organisations, builder, strangers and time, as a fuzzer moves them.
/// @notice Contents are few, so that calls meet: three pieces of evidence, two attempts, two costs, two builders.
contract Handler is Plant {
    uint256 public constant EVIDENCE = 3;
    uint256 private constant ATTEMPTS = 2;

    /// @notice Whatever was ever called about, once each.
    Content[] private _known;
    bytes32[] private _ids;
    mapping(bytes32 order => bool) private _seen;
    /// @notice The first breach of "a state never goes back, settled verdicts stay".
    string public broken;

    constructor() {
        build(4);
    }

    /// @dev Call, and compare the words before and after: of what is called about, and of all else.
    modifier watched(uint256 which) {
        Content memory c = pick(which);
        uint256[] memory before = words();
        _;
        uint256[] memory now_ = words();
        for (uint256 i = 0; i < before.length; ++i) {
            if (before[i] == now_[i]) continue;
            compare(before[i], now_[i]);
            if (_ids[i] != orders.idOf(c)) broken = "another order changed";
        }
    }

    function words() public view returns (uint256[] memory found) {
        found = new uint256[](_ids.length);
        for (uint256 i = 0; i < found.length; ++i) {
            found[i] = uint256(bytes32(abi.encode(orders.word(_ids[i]))));
        }
    }

    function known() external view returns (Content[] memory) {
        return _known;
    }

    function counters() external view returns (uint256 openCost, uint256 open, uint256 contestedCost, uint256 contested) {
        (openCost, open, contestedCost, contested,) = orders.emergencies(version);
    }

    function compare(uint256 was, uint256 now_) private {
        (uint256 a, uint256 b) = (was >> 248, now_ >> 248);
        if (b < a) broken = "a state went back";
        if (a > 2 && uint64(was) != uint64(now_)) broken = "a settled approval changed";
        if (a > 2 && a != b && b < 9) broken = "a settled order settled again";
    }

    /// @dev The content that a number picks, kept.
    function pick(uint256 which) private returns (Content memory c) {
        c = content(which % EVIDENCE);
        c.deadline = 1_000_000 + 2 days;
        c.attempt = uint24(1 + (which / 3) % ATTEMPTS);
        c.cost = (which / 6) % 2 == 0 ? 0 : 60_000;
        if ((which / 12) % 2 == 1) c.builder = governor(3);
        bytes32 id = orders.idOf(c);
        if (_seen[id]) return c;
        _seen[id] = true;
        _known.push(c);
        _ids.push(id);
    }

    function actor(uint256 who) private view returns (address) {
        who %= 10;
        if (who < 4) return verdictKey(who + 1);
        return who < 8 ? governor(who - 3) : who == 8 ? builder : address(0xbad);
    }

    // ---------------------------------------------------------------- what the fuzzer calls

    /// @dev Mostly whoever may.
    function proposeOne(uint256 who, uint256 which) external watched(which) {
        Content memory c = pick(which);
        address from = who % 8 == 0 ? actor(who / 8) : c.builder;
        bytes memory data = c.builder == builder ? proposing(c) : abi.encodeCall(orders.proposeEmergency, (c, 0));
        send(address(orders), from, data);
    }

    function approveOne(uint256 who, uint256 which) external watched(which) {
        Content memory c = pick(which);
        address from = who % 8 == 0 ? actor(who / 8) : verdictKey(1 + (who / 8) % 4);
        send(address(orders), from, approving(c, (who / 8) % 4));
    }

    /// @dev All in turn, as a plant at work does.
    function approveAll(uint256 who, uint256 which) external watched(which) {
        Content memory c = pick(which);
        for (uint256 seat = 0; seat < 4; ++seat) {
            send(address(orders), verdictKey(seat + 1), approving(c, seat));
        }
    }

    function refuseOne(uint256 who, uint256 which) external watched(which) {
        Content memory c = pick(which);
        send(address(orders), verdictKey(1 + who % 4), refusing(c, who % 4));
    }

    function endOne(uint256 who, uint256 which, uint256 how) external watched(which) {
        Content memory c = pick(which);
        bytes[5] memory data = [
            abi.encodeCall(orders.withdraw, (c)),
            abi.encodeCall(orders.expire, (c)),
            abi.encodeCall(orders.escalate, (c, 0)),
            abi.encodeCall(orders.contest, (c)),
            abi.encodeCall(orders.complete, (c, uint8(how / 5 % 6), 0))
        ];
        address[5] memory from = [builder, actor(who), governor(3), actor(who), verdictKey(1)];
        send(address(orders), who % 8 == 0 ? actor(who / 8) : from[how % 5], data[how % 5]);
    }

    function cancelAll(uint256 who, uint256 which) external watched(which) {
        Content memory c = pick(which);
        for (uint256 seat = 0; seat < 4; ++seat) {
            if (who & (1 << seat) != 0) send(address(orders), verdictKey(seat + 1), abi.encodeCall(orders.cancel, (c, seat)));
        }
    }

    function passTime(uint256 which) external watched(which) {
        vm.warp(block.timestamp + (which % 16 == 0 ? 1 days : which % 3600));
    }

    function removeMember(uint256 which) external watched(which) {
        if (which % 64 == 0 && consortium.members() == 30) expel(4, 4);
    }
}

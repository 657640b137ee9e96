// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Consortium} from "../src/Consortium.sol";
import {Keys} from "../src/Keys.sol";
import {MaintenanceOrders} from "../src/MaintenanceOrders.sol";
import {Registry} from "../src/Registry.sol";
import {OrderBase} from "../src/OrderBase.sol";
import {Content, Kind, Role, Status, Why} from "../src/Types.sol";

/// @notice The part of forge's cheat codes that is used here.
interface Vm {
    struct Gas {
        uint64 gasLimit;
        uint64 gasTotalUsed;
        uint64 gasMemoryUsed;
        int64 gasRefunded;
        uint64 gasRemaining;
    }

    function lastCallGas() external view returns (Gas memory);
    function addr(uint256 key) external pure returns (address);
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function prank(address sender) external;
    function warp(uint256 time) external;
    function chainId(uint256 id) external;
    function assume(bool condition) external pure;
    function getNonce(address account) external view returns (uint64);
    function computeCreateAddress(address deployer, uint256 nonce) external pure returns (address);
}

/// @title A plant with organisations, a live asset version, a detector, a builder and an orders contract.
abstract contract Plant {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    uint256 internal constant BUILDER = 900;
    bytes32 internal constant GENESIS = keccak256("genesis");
    bytes32 internal constant DETECTOR = keccak256("detector");
    bytes32 internal constant ASSET = bytes32(uint256(1) << 248 | uint248(uint256(keccak256("robot"))));

    Consortium internal consortium;
    MaintenanceOrders internal orders;
    bytes32 internal version;
    address internal builder;
    uint256 internal salt;

    /// @dev Private key of an organisation's role.
    function keyOf(uint256 number, Role role) internal pure returns (uint256) {
        return number * 10 + uint256(role);
    }

    function addressOf(uint256 number, Role role) internal pure returns (address) {
        return vm.addr(keyOf(number, role));
    }

    function build(uint256 count) internal {
        vm.warp(1_000_000);
        address expected = vm.computeCreateAddress(address(this), vm.getNonce(address(this)));
        Keys.Organisation[] memory first = new Keys.Organisation[](count);
        Keys.Proofs[] memory proofs = new Keys.Proofs[](count);
        for (uint256 i = 0; i < count; ++i) {
            (first[i], proofs[i]) = organisation(expected, i + 1);
        }
        address[] memory builders = new address[](1);
        bytes[] memory builderProofs = new bytes[](1);
        builder = vm.addr(BUILDER);
        builders[0] = builder;
        builderProofs[0] = proof(expected, BUILDER, 1, Role.Builder);
        consortium = new Consortium(first, proofs, builders, builderProofs, 1 days);
        orders = new MaintenanceOrders(consortium, MaintenanceOrders(address(0)), GENESIS);
        pass(count, Kind.ListOrders, abi.encode(address(orders)));
        pass(count, Kind.AddDetector, abi.encode(DETECTOR));
        version = register(count, bytes32(0));
    }

    function register(uint256 count, bytes32 previous) internal returns (bytes32) {
        Registry.Version memory v = terms(count, previous);
        pass(count, Kind.RegisterVersion, abi.encode(v));
        return consortium.versionId(v);
    }

    function terms(uint256 count, bytes32 previous) internal pure returns (Registry.Version memory v) {
        uint8[] memory seats = new uint8[](count);
        for (uint256 i = 0; i < count; ++i) {
            seats[i] = uint8(i + 1);
        }
        v = Registry.Version(ASSET, previous, seats, 1, uint8(count > 2 ? 3 : 2), 1 days, 100_000, 3);
    }

    function organisation(address target, uint256 number)
        internal
        view
        returns (Keys.Organisation memory keys, Keys.Proofs memory proofs)
    {
        keys = Keys.Organisation(
            addressOf(number, Role.Verdict), addressOf(number, Role.Governance), addressOf(number, Role.Recovery)
        );
        proofs = Keys.Proofs(
            proof(target, keyOf(number, Role.Verdict), number, Role.Verdict),
            proof(target, keyOf(number, Role.Governance), number, Role.Governance),
            proof(target, keyOf(number, Role.Recovery), number, Role.Recovery)
        );
    }

    function proof(address target, uint256 key, uint256 number, Role role) internal view returns (bytes memory) {
        bytes32 digest = keccak256(abi.encodePacked(hex"1900", target, block.chainid, number, uint256(role)));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function motion(Kind kind, bytes memory data) internal returns (Consortium.Motion memory) {
        return Consortium.Motion(kind, data, uint40(block.timestamp + 1 days), bytes32(++salt));
    }

    /// @dev Organisations 1..count vote, one after the other.
    function pass(uint256 count, Kind kind, bytes memory data) internal {
        Consortium.Motion memory m = motion(kind, data);
        for (uint256 number = 1; number <= count; ++number) {
            vm.prank(addressOf(number, Role.Governance));
            consortium.vote(m);
        }
    }

    function content(uint256 n) internal view returns (Content memory) {
        return Content({
            evidence: keccak256(abi.encode("evidence", n)),
            datasetRoot: keccak256(abi.encode("root", n)),
            orderDigest: keccak256(abi.encode("order", n)),
            assetVersion: version,
            detector: DETECTOR,
            builder: builder,
            cost: 45_600,
            deadline: uint40(block.timestamp + 2 days),
            attempt: 1
        });
    }

    function propose(Content memory c) internal {
        vm.prank(builder);
        orders.propose(c);
    }

    function approve(Content memory c, uint256 number) internal {
        vm.prank(addressOf(number, Role.Verdict));
        orders.approve(c, number - 1, keccak256(abi.encode(number)));
    }

    function refuse(Content memory c, uint256 number) internal {
        vm.prank(addressOf(number, Role.Verdict));
        orders.refuse(c, number - 1, 7, 0);
    }

    function check(Content memory c, Status expected) internal view {
        require(orders.statusOf(orders.idOf(c)) == expected, "status");
    }

    // ---------------------------------------------------------------- calls that must work, calls that must not

    function verdictKey(uint256 number) internal pure returns (address) {
        return addressOf(number, Role.Verdict);
    }

    function governor(uint256 number) internal pure returns (address) {
        return addressOf(number, Role.Governance);
    }

    function send(address target, address from, bytes memory data) internal returns (bool done, bytes memory answer) {
        vm.prank(from);
        return target.call(data);
    }

    function act(address from, bytes memory data) internal {
        (bool done,) = send(address(orders), from, data);
        require(done, "a call that applies was rejected");
    }

    function denied(address from, bytes memory data, Why why) internal {
        (bool done, bytes memory answer) = send(address(orders), from, data);
        require(!done && bytes4(answer) == OrderBase.Rejected.selector, "was not rejected");
        require(uint8(answer[67]) == uint8(why), "was rejected for another reason");
    }

    function govern(address from, bytes memory data) internal {
        (bool done,) = send(address(consortium), from, data);
        require(done, "a call that applies was barred");
    }

    function barred(address from, bytes memory data, bytes4 err) internal {
        (bool done, bytes memory answer) = send(address(consortium), from, data);
        require(!done, "was not barred");
        require(bytes4(answer) == err, "was barred for another reason");
    }

    /// @dev Only these vote, as bits by number.
    function voteBy(Consortium.Motion memory m, uint256 who) internal {
        for (uint256 number = 1; number < 256; ++number) {
            if (who & (1 << number) != 0) govern(governor(number), abi.encodeCall(consortium.vote, (m)));
        }
    }

    function expel(uint256 number, uint256 count) internal {
        voteBy(motion(Kind.Expel, abi.encode(number)), ((2 << count) - 2) & ~(1 << number));
    }

    /// @dev The asset's next version, with these seats; voted by all of them.
    function revise(uint8[] memory seats, uint8 host) internal {
        Registry.Version memory v = terms(3, version);
        (v.seats, v.host, v.safety) = (seats, host, 0);
        uint256 who;
        for (uint256 i = 0; i < seats.length; ++i) {
            who |= 1 << seats[i];
        }
        voteBy(motion(Kind.RegisterVersion, abi.encode(v)), who);
        version = consortium.versionId(v);
    }

    // ---------------------------------------------------------------- calls as data

    function proposing(Content memory c) internal view returns (bytes memory) {
        return abi.encodeCall(orders.propose, (c));
    }

    function approving(Content memory c, uint256 seat) internal view returns (bytes memory) {
        return abi.encodeCall(orders.approve, (c, seat, bytes32(seat + 1)));
    }

    function refusing(Content memory c, uint256 seat) internal view returns (bytes memory) {
        return abi.encodeCall(orders.refuse, (c, seat, 7, bytes32(0)));
    }

    function validated(uint256 n) internal returns (Content memory c) {
        c = content(n);
        propose(c);
        for (uint256 number = 1; number <= 3; ++number) {
            approve(c, number);
        }
        check(c, Status.Validated);
    }

    /// @dev An emergency declared by the safety authority, organisation 3.
    function emergency(uint256 n) internal returns (Content memory c) {
        c = content(n);
        c.builder = governor(3);
        act(governor(3), abi.encodeCall(orders.proposeEmergency, (c, "leak")));
    }
}

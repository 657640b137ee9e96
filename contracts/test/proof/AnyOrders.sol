// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {OrderBase} from "../../src/OrderBase.sol";
import {OrderRules} from "../../src/OrderRules.sol";
import {Standing, Word} from "../../src/Types.sol";

/// @title The orders contract over a registry that may say anything, the same within a call.
/// @notice With symbolic storage every map below holds arbitrary answers: whatever the consortium may ever say is among them.
abstract contract AnyOrders is OrderRules {
    mapping(bytes32 version => uint256) internal terms;
    mapping(bytes32 detector => uint256) internal detectors;
    mapping(address key => uint256) internal roles;
    mapping(bytes32 version => mapping(uint256 seat => uint256)) internal seats;
    mapping(bytes32 version => bytes32) internal assets;
    mapping(bytes32 version => uint256) internal presents;
    mapping(bytes32 version => uint256) internal hosts;
    mapping(bytes32 asset => mapping(bytes32 evidence => bytes32)) internal beforeOrder;
    mapping(bytes32 asset => mapping(bytes32 evidence => uint256)) internal beforeWord;
    address internal newest;

    constructor() OrderBase(keccak256("genesis")) {}

    function standing(bytes32 version, bytes32 detector, address key, uint256 seat) internal view returns (uint256 found) {
        found = (terms[version] & ((1 << 144) - 1)) | ((roles[key] & 0xffff) << 144);
        found |= (detectors[detector] & 0xff) << 168;
        if (seat != NO_SEAT) found |= (seats[version][seat] & 0xff) << 160;
    }

    /// @dev The counters of a version as they are stored.
    function counters(bytes32 version) internal view returns (uint256 slot) {
        Emergencies storage e = emergencies[version];
        assembly ("memory-safe") {
            slot := sload(e.slot)
        }
    }

    function _standing(bytes32 version, bytes32 detector, address key, uint256 seat)
        internal
        view
        override
        returns (Standing)
    {
        return Standing.wrap(standing(version, detector, key, seat));
    }

    function _grounds(bytes32 version) internal view override returns (bytes32, address) {
        return (assets[version], newest);
    }

    function _present(bytes32 version) internal view override returns (uint256) {
        return presents[version];
    }

    function _hostOf(bytes32 version) internal view override returns (uint256) {
        return hosts[version];
    }

    function _before(bytes32 asset, bytes32 evidence) internal view override returns (bytes32, Word) {
        return (beforeOrder[asset][evidence], Word.wrap(beforeWord[asset][evidence]));
    }
}

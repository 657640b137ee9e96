// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Consortium} from "./Consortium.sol";
import {OrderBase} from "./OrderBase.sol";
import {OrderRules} from "./OrderRules.sol";
import {Standing, Word} from "./Types.sol";

/// @title Maintenance orders of one consortium.
/// @notice The rules are in {OrderRules}; this binds them to a consortium and to the contracts before this one.
/// A successor replaces this contract only: it asks back whether evidence is held, and what is open here is still settled here.
contract MaintenanceOrders is OrderRules {
    /// @notice Who may do what.
    Consortium public immutable CONSORTIUM;
    /// @notice The orders contract before this one, zero for the first.
    MaintenanceOrders public immutable PREDECESSOR;

    /// @param consortium Must list this contract before it can propose.
    /// @param predecessor The newest orders contract so far, zero for the first.
    /// @param genesis Hash of block 0.
    constructor(Consortium consortium, MaintenanceOrders predecessor, bytes32 genesis) OrderBase(genesis) {
        CONSORTIUM = consortium;
        PREDECESSOR = predecessor;
    }

    /// @inheritdoc OrderBase
    function _standing(bytes32 version, bytes32 detector, address key, uint256 seat)
        internal
        view
        override
        returns (Standing)
    {
        return CONSORTIUM.standing(version, detector, key, seat);
    }

    /// @inheritdoc OrderBase
    function _grounds(bytes32 version) internal view override returns (bytes32 asset, address newest) {
        return CONSORTIUM.grounds(version);
    }

    /// @inheritdoc OrderBase
    function _present(bytes32 version) internal view override returns (uint256) {
        return CONSORTIUM.present(version);
    }

    /// @inheritdoc OrderBase
    function _hostOf(bytes32 version) internal view override returns (uint256) {
        return CONSORTIUM.hostOf(version);
    }

    /// @inheritdoc OrderBase
    function _before(bytes32 asset, bytes32 evidence) internal view override returns (bytes32 order, Word found) {
        if (address(PREDECESSOR) == address(0)) return (0, Word.wrap(0));
        return PREDECESSOR.lastOf(asset, evidence);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Keys} from "./Keys.sol";
import {Registry} from "./Registry.sol";
import {Kind, Life, Role} from "./Types.sol";

/// @title Who belongs, and what they agreed on.
/// @notice No owner: every change is a motion voted by the governance keys of all whom it concerns, or an
/// organisation's own business. Outlives the orders contracts that read it.
contract Consortium is Registry {
    /// @notice A motion: what, with which arguments (ABI-encoded), until when. The salt tells repetitions apart.
    struct Motion {
        Kind kind;
        bytes data;
        uint40 expires;
        bytes32 salt;
    }

    uint256 private constant MAX_MOTION_AGE = 90 days;
    uint256 private constant MIN_FIRST = 2;
    uint256 private constant MAX_FIRST = 64;

    /// @notice Governance key by which an organisation voted; it counts while that key is current.
    mapping(bytes32 motion => mapping(uint256 number => address key)) public voteOf;
    /// @notice Whether a motion was executed.
    mapping(bytes32 motion => bool) public executed;

    /// @notice An organisation voted for a motion.
    event Voted(bytes32 indexed motion, uint256 indexed number, address key, Motion terms);
    /// @notice An organisation took its vote back.
    event Unvoted(bytes32 indexed motion, uint256 indexed number);
    /// @notice All whom it concerns agreed; it is done.
    event Executed(bytes32 indexed motion, Kind indexed kind, bytes data);

    /// @notice The motion was executed before.
    error MotionDone(bytes32 motion);
    /// @notice The motion expired, or would live too long.
    error MotionExpires(uint256 found, uint256 expected);
    /// @notice Votes are missing: bit n is organisation n.
    error VotesMissing(uint256 found, uint256 expected);
    /// @notice It concerns too few to be decided (expulsion and recovery need two others, or it concerns nobody).
    error ConcernsTooFew(uint256 found);

    /// @param first 2 to 64 organisations, numbered from 1 in this order.
    /// @param proofs Their keys' signatures, see `possession`.
    /// @param builders First keys that may propose, sponsored by organisation 1.
    /// @param builderProofs Their signatures.
    /// @param notice Seconds between announcing and doing, fixed for ever.
    constructor(
        Organisation[] memory first,
        Proofs[] memory proofs,
        address[] memory builders,
        bytes[] memory builderProofs,
        uint40 notice
    ) Keys(notice) {
        if (first.length < MIN_FIRST || first.length > MAX_FIRST) revert OutOfBounds("organisations", first.length, MAX_FIRST);
        if (proofs.length != first.length) revert OutOfBounds("proofs", proofs.length, first.length);
        if (builderProofs.length != builders.length) revert OutOfBounds("builders", builderProofs.length, builders.length);
        for (uint256 i = 0; i < first.length; ++i) {
            _add(first[i], proofs[i]);
        }
        for (uint256 i = 0; i < builders.length; ++i) {
            _take(builders[i], 1, Role.Builder, builderProofs[i]);
        }
    }

    /// @notice Name of a motion: commits to this consortium and all its terms.
    function nameOf(Motion calldata motion) public view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(this), motion));
    }

    /// @notice Vote by one's governance key; the vote that completes it executes it.
    function vote(Motion calldata motion) external {
        uint256 number = _caller(Role.Governance);
        bytes32 name = _open(motion);
        voteOf[name][number] = msg.sender;
        emit Voted(name, number, msg.sender, motion);
        uint256 need = concerned(motion);
        if (_votes(name, need) == need) _execute(name, motion);
    }

    /// @notice Take one's vote back.
    function unvote(Motion calldata motion) external {
        uint256 number = _caller(Role.Governance);
        bytes32 name = _open(motion);
        delete voteOf[name][number];
        emit Unvoted(name, number);
    }

    /// @notice By anybody, once all whom it concerns have voted (somebody may have left meanwhile).
    function execute(Motion calldata motion) external {
        bytes32 name = _open(motion);
        uint256 need = concerned(motion);
        uint256 votes = _votes(name, need);
        if (votes != need) revert VotesMissing(votes, need);
        _execute(name, motion);
    }

    /// @notice Whom a motion concerns, as of now: bit n is organisation n.
    function concerned(Motion calldata motion) public view returns (uint256 need) {
        Kind kind = motion.kind;
        need = members;
        if (kind == Kind.Expel) {
            need = _others(abi.decode(motion.data, (uint256)));
        } else if (kind == Kind.Recover) {
            need = _others(_recovered(motion.data));
        } else if (kind == Kind.RemoveBuilder) {
            need = _removers(nameOf(motion), abi.decode(motion.data, (address)));
        } else if (kind == Kind.RegisterVersion) {
            Version memory version = abi.decode(motion.data, (Version));
            need &= membersOf[currentOf[version.asset]] | _membersIn(version.seats);
        } else if (kind == Kind.AddDevice || kind == Kind.RevokeDevice) {
            (bytes32 asset,) = abi.decode(motion.data, (bytes32, bytes32));
            need &= membersOf[currentOf[asset]];
        }
        if (need == 0) revert ConcernsTooFew(need);
    }

    /// @dev Everybody else; at least two, so that no single one decides over another.
    function _others(uint256 number) private view returns (uint256 need) {
        _requireMember(number);
        need = members & ~(uint256(1) << number);
        if (need & (need - 1) == 0) revert ConcernsTooFew(need);
    }

    /// @dev A builder goes by its sponsor's word alone, or by all others'.
    function _removers(bytes32 name, address builder) private view returns (uint256) {
        uint256 sponsor = roleOf[builder] >> 8;
        uint256 bit = members & (uint256(1) << sponsor);
        return _votes(name, bit) != 0 ? bit : members & ~bit;
    }

    /// @return number Organisation that a recovery motion is about.
    function _recovered(bytes calldata data) private pure returns (uint256 number) {
        (number,,) = abi.decode(data, (uint256, Organisation, Proofs));
    }

    /// @return name Of a motion that can still be voted on.
    function _open(Motion calldata motion) private view returns (bytes32 name) {
        name = nameOf(motion);
        if (executed[name]) revert MotionDone(name);
        uint256 latest = block.timestamp + MAX_MOTION_AGE;
        if (motion.expires <= block.timestamp || motion.expires > latest) revert MotionExpires(motion.expires, latest);
    }

    /// @return votes Of those in `need`, by keys that are current.
    function _votes(bytes32 name, uint256 need) private view returns (uint256 votes) {
        for (uint256 number = 1; number <= organisations; ++number) {
            if (need & (1 << number) == 0) continue;
            if (voteOf[name][number] == organisation[number].governance) votes |= 1 << number;
        }
    }

    /// @dev Done once, for ever.
    function _execute(bytes32 name, Motion calldata motion) private {
        executed[name] = true;
        _apply(motion.kind, motion.data);
        emit Executed(name, motion.kind, motion.data);
    }

    /// @dev One line per kind; the arguments are checked by what they call.
    function _apply(Kind kind, bytes calldata data) private {
        if (kind == Kind.AddOrganisation) _applyAdd(data);
        else if (kind == Kind.Expel) _end(abi.decode(data, (uint256)));
        else if (kind == Kind.RegisterVersion) _register(abi.decode(data, (Version)));
        else if (kind == Kind.AddDetector) _moveDetector(abi.decode(data, (bytes32)), Life.Unknown, Life.Live);
        else if (kind == Kind.RevokeDetector) _moveDetector(abi.decode(data, (bytes32)), Life.Live, Life.Ended);
        else if (kind == Kind.AddDevice) _applyDevice(data, Life.Unknown, Life.Live);
        else if (kind == Kind.RevokeDevice) _applyDevice(data, Life.Live, Life.Ended);
        else if (kind == Kind.AddBuilder) _applyBuilder(data);
        else if (kind == Kind.RemoveBuilder) _applyRemoval(abi.decode(data, (address)));
        else if (kind == Kind.Recover) _applyRecovery(data);
        else _listOrders(abi.decode(data, (address)));
    }

    function _applyAdd(bytes calldata data) private {
        (Organisation memory keys, Proofs memory proofs) = abi.decode(data, (Organisation, Proofs));
        _add(keys, proofs);
    }

    function _applyDevice(bytes calldata data, Life from, Life to) private {
        (bytes32 asset, bytes32 device) = abi.decode(data, (bytes32, bytes32));
        _moveDevice(asset, device, from, to);
    }

    function _applyBuilder(bytes calldata data) private {
        (address builder, uint256 sponsor, bytes memory proof) = abi.decode(data, (address, uint256, bytes));
        _requireMember(sponsor);
        _take(builder, sponsor, Role.Builder, proof);
    }

    function _applyRemoval(address builder) private {
        uint256 found = roleOf[builder];
        if (uint8(found) != uint8(Role.Builder)) revert WrongRole(builder, Role(uint8(found)), Role.Builder);
        _retire(builder, found >> 8);
    }

    function _applyRecovery(bytes calldata data) private {
        (uint256 number, Organisation memory keys, Proofs memory proofs) =
            abi.decode(data, (uint256, Organisation, Proofs));
        _prove(keys.verdict, number, Role.Verdict, proofs.verdict);
        _prove(keys.governance, number, Role.Governance, proofs.governance);
        _prove(keys.recovery, number, Role.Recovery, proofs.recovery);
        _announceRecovery(number, Pending(keys.verdict, keys.governance, keys.recovery, 0));
    }
}

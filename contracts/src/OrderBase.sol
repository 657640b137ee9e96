// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Content, Standing, Status, Why, Word} from "./Types.sol";

/// @title What orders are made of: their words, events, errors, ids.
/// @notice Where the facts about keys, seats and versions come from is left to the child, so that proofs can let them be anything.
abstract contract OrderBase {
    /// @dev An emergency is counted under its version while open, and after it was contested.
    /// open cost 64 | open 16 | contested cost 64 | contested 16 | last contest 40.
    struct Emergencies {
        uint64 openCost;
        uint16 open;
        uint64 contestedCost;
        uint16 contested;
        uint40 lastContest;
    }

    /// @notice Furthest deadline, and how long a contested emergency weighs on the cap.
    uint256 public constant HORIZON = 90 days;
    /// @notice Most items of a batch.
    uint256 public constant BATCH = 64;
    /// @dev "No seat".
    uint256 internal constant NO_SEAT = 255;
    uint256 internal constant OUTCOMES = 4;
    uint256 internal constant NOT_CARRIED_OUT = 4;

    /// @notice EIP-712 type of an order.
    bytes32 public constant CONTENT_TYPE = keccak256(
        "Content(bytes32 evidence,bytes32 datasetRoot,bytes32 orderDigest,bytes32 assetVersion,bytes32 detector,address builder,uint64 cost,uint40 deadline,uint24 attempt)"
    );
    bytes32 private constant DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract,bytes32 salt)");
    bytes32 private immutable DOMAIN;

    /// @notice The word of an order, see `Word`.
    mapping(bytes32 order => Word) public word;
    /// @dev Latest order proposed here for the evidence of an asset.
    mapping(bytes32 asset => mapping(bytes32 evidence => bytes32 order)) internal _latest;
    /// @notice Emergencies of a version that are open or contested.
    mapping(bytes32 version => Emergencies) public emergencies;

    /// @notice The order is on the chain with all its content.
    event Proposed(bytes32 indexed order, bytes32 indexed evidence, bytes32 indexed assetVersion, Content content);
    /// @notice A seat approved; `result` is the digest of its result document.
    event Approved(bytes32 indexed order, address indexed key, uint256 organisation, uint256 seat, bytes32 result);
    /// @notice A seat refused; `detail` is the digest of what it says.
    event Refused(
        bytes32 indexed order, address indexed key, uint256 organisation, uint256 seat, uint16 reason, bytes32 detail
    );
    /// @notice A seat wants the approved order cancelled.
    event CancellationVoted(bytes32 indexed order, address indexed key, uint256 organisation, uint256 seat);
    /// @notice The order is in another state now.
    event Moved(bytes32 indexed order, Status indexed status, address by, bytes32 detail);
    /// @notice A batch left this item out.
    event Skipped(bytes32 indexed order, Why indexed why, uint256 found, uint256 expected);

    /// @notice The call does not apply, and why.
    error Rejected(bytes32 order, Why why, uint256 found, uint256 expected);
    /// @notice A batch is empty, too long, or its lists differ in length.
    error BadBatch(uint256 found, uint256 expected);

    /// @param genesis Hash of block 0: the salt that tells chains with one id apart.
    constructor(bytes32 genesis) {
        bytes32 name = keccak256("MaintenanceOrders");
        DOMAIN = keccak256(abi.encode(DOMAIN_TYPE, name, keccak256("1"), block.chainid, address(this), genesis));
    }

    // ---------------------------------------------------------------- what the child knows

    /// @dev Facts about a version, a detector, a key and a seat.
    function _standing(bytes32 version, bytes32 detector, address key, uint256 seat) internal view virtual returns (Standing);
    /// @dev Asset of a version, and the newest orders contract.
    function _grounds(bytes32 version) internal view virtual returns (bytes32 asset, address newest);
    /// @dev Seats whose organisation still belongs.
    function _present(bytes32 version) internal view virtual returns (uint256);
    /// @dev Organisation that closes orders of a version.
    function _hostOf(bytes32 version) internal view virtual returns (uint256);
    /// @dev Latest order of an asset's evidence on contracts before this one, and its word.
    function _before(bytes32 asset, bytes32 evidence) internal view virtual returns (bytes32 order, Word found);

    // ---------------------------------------------------------------- views

    /// @notice Domain separator (EIP-712).
    function domainSeparator() external view returns (bytes32) {
        return DOMAIN;
    }

    /// @notice Id of an order: EIP-712 digest of its content.
    function idOf(Content calldata c) public view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", DOMAIN, keccak256(abi.encode(CONTENT_TYPE, c))));
    }

    /// @notice State of an order.
    function statusOf(bytes32 order) external view returns (Status) {
        return word[order].status();
    }

    /// @notice Latest order of an asset's evidence, here or on a predecessor, and its word.
    function lastOf(bytes32 asset, bytes32 evidence) public view returns (bytes32 order, Word found) {
        order = _latest[asset][evidence];
        if (order == 0) return _before(asset, evidence);
        return (order, word[order]);
    }

    /// @notice Latest order of an asset's evidence, here or on a predecessor; 0 if there is none.
    function latestOf(bytes32 asset, bytes32 evidence) external view returns (bytes32 order) {
        (order,) = lastOf(asset, evidence);
    }

    // ---------------------------------------------------------------- small parts

    function _move(bytes32 order, Word w, Status to, bytes32 detail) internal returns (Word) {
        emit Moved(order, to, msg.sender, detail);
        return w.move(to);
    }

    function _requireStatus(bytes32 order, Status expected) internal view returns (Word w) {
        w = word[order];
        if (w.status() != expected) revert Rejected(order, Why.State, uint256(w.status()), uint256(expected));
    }

    function _must(bytes32 order, Why why, uint256 found, uint256 expected) internal pure {
        if (why != Why.None) revert Rejected(order, why, found, expected);
    }

    function _note(bytes32 order, Why why, uint256 found, uint256 expected) internal {
        if (why != Why.None) emit Skipped(order, why, found, expected);
    }

    function _checkBatch(uint256 length, uint256 other) internal pure {
        if (length == 0 || length > BATCH) revert BadBatch(length, BATCH);
        if (other != length) revert BadBatch(other, length);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Role} from "./Types.sol";

/// @title Organisations and their keys.
/// @notice An organisation has a number (1..255, given once) and three keys: verdict (hot), governance (cold), recovery (offline).
/// An address has one role for ever; a new key proves that somebody holds it before it is taken.
abstract contract Keys {
    /// @notice The three keys of an organisation.
    struct Organisation {
        address verdict;
        address governance;
        address recovery;
    }

    /// @notice Signatures by which the three keys prove that they are held (see `possession`).
    struct Proofs {
        bytes verdict;
        bytes governance;
        bytes recovery;
    }

    /// @notice Keys that will take over once `ready` (seconds) has come; a zero recovery key means: keep.
    struct Pending {
        address verdict;
        address governance;
        address recovery;
        uint40 ready;
    }

    uint256 internal constant MAX_ORGANISATIONS = 255;
    uint256 internal constant SIGNATURE_BYTES = 65;

    /// @notice Seconds between announcing and doing, for leaving and recovery.
    uint40 public immutable NOTICE;

    /// @notice Bit n: organisation n belongs.
    uint256 public members;
    /// @notice Numbers given so far.
    uint256 public organisations;
    /// @notice Organisation by number.
    mapping(uint256 number => Organisation) public organisation;
    /// @notice Role | number << 8 of an address (for a builder: its sponsor's number).
    mapping(address key => uint256) public roleOf;
    /// @notice Recovery under way, by organisation.
    mapping(uint256 number => Pending) public recovery;
    /// @notice When an organisation may leave, 0 if it does not want to.
    mapping(uint256 number => uint256) public leavesAt;

    /// @notice An organisation was admitted.
    event OrganisationAdded(uint256 indexed number, address verdict, address governance, address recovery);
    /// @notice An organisation left or was expelled.
    event OrganisationEnded(uint256 indexed number);
    /// @notice A key took the place of another.
    event KeyReplaced(uint256 indexed number, Role indexed role, address old, address current);
    /// @notice Keys will be replaced at `ready` unless the governance key objects.
    event RecoveryStarted(uint256 indexed number, address verdict, address governance, address recovery, uint256 ready);
    /// @notice The recovery was stopped.
    event RecoveryCancelled(uint256 indexed number);
    /// @notice An organisation will leave at `ready`; 0: it stays.
    event LeaveAnnounced(uint256 indexed number, uint256 ready);

    /// @notice The caller does not hold the role asked for.
    error WrongRole(address caller, Role found, Role expected);
    /// @notice The address already has, or had, a role.
    error KeyTaken(address key, uint256 found);
    /// @notice Nobody proved to hold the key.
    error KeyNotProven(address key, address found);
    /// @notice The organisation does not belong.
    error NotMember(uint256 number);
    /// @notice All numbers are given.
    error TooManyOrganisations(uint256 found, uint256 expected);
    /// @notice Too early, or never announced (expected 0).
    error NotYet(uint256 found, uint256 expected);

    /// @param notice Seconds, at least one hour and at most 90 days.
    constructor(uint40 notice) {
        if (notice < 1 hours || notice > 90 days) revert NotYet(notice, 1 hours);
        NOTICE = notice;
    }

    /// @notice What a key signs (ECDSA, secp256k1) to prove that it is held: EIP-191, version 0.
    /// @return keccak256(0x19 || 0x00 || this contract || chain id, organisation, role as 32-byte words).
    function possession(uint256 number, Role role) public view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1900", address(this), block.chainid, number, uint256(role)));
    }

    /// @notice Replace one's own verdict key at once. A recovery under way is deleted.
    function rotateVerdictKey(address key, bytes calldata proof) external {
        uint256 number = _caller(Role.Governance);
        delete recovery[number];
        _replace(number, Role.Verdict, organisation[number].verdict, key, proof);
        organisation[number].verdict = key;
    }

    /// @notice Replace one's own governance key at once; the votes of the old one no longer count. A recovery under way is deleted.
    function rotateGovernanceKey(address key, bytes calldata proof) external {
        uint256 number = _caller(Role.Governance);
        delete recovery[number];
        _replace(number, Role.Governance, organisation[number].governance, key, proof);
        organisation[number].governance = key;
    }

    /// @notice Replace one's own recovery key at once. What the old one started is deleted: it may have been stolen.
    function rotateRecoveryKey(address key, bytes calldata proof) external {
        uint256 number = _caller(Role.Governance);
        delete recovery[number];
        _replace(number, Role.Recovery, organisation[number].recovery, key, proof);
        organisation[number].recovery = key;
    }

    /// @notice By the recovery key: verdict and governance key shall be replaced after the notice.
    function startRecovery(address verdict, bytes calldata verdictProof, address governance, bytes calldata governanceProof)
        external
    {
        uint256 number = _caller(Role.Recovery);
        _prove(verdict, number, Role.Verdict, verdictProof);
        _prove(governance, number, Role.Governance, governanceProof);
        _announceRecovery(number, Pending(verdict, governance, address(0), 0));
    }

    /// @notice By the governance key: the keys are not lost.
    function cancelRecovery() external {
        uint256 number = _caller(Role.Governance);
        delete recovery[number];
        emit RecoveryCancelled(number);
    }

    /// @notice By anybody, after the notice: the announced keys take over.
    function finishRecovery(uint256 number) external {
        Pending memory next = recovery[number];
        if (next.ready == 0 || block.timestamp < next.ready) revert NotYet(block.timestamp, next.ready);
        _requireMember(number);
        delete recovery[number];
        Organisation memory old = organisation[number];
        _swap(number, Role.Verdict, old.verdict, next.verdict);
        _swap(number, Role.Governance, old.governance, next.governance);
        organisation[number].verdict = next.verdict;
        organisation[number].governance = next.governance;
        if (next.recovery == address(0)) return;
        _swap(number, Role.Recovery, old.recovery, next.recovery);
        organisation[number].recovery = next.recovery;
    }

    /// @notice By the governance key: leave after the notice.
    function announceLeave() external {
        uint256 number = _caller(Role.Governance);
        leavesAt[number] = block.timestamp + NOTICE;
        emit LeaveAnnounced(number, leavesAt[number]);
    }

    /// @notice By the governance key: stay after all.
    function cancelLeave() external {
        uint256 number = _caller(Role.Governance);
        delete leavesAt[number];
        emit LeaveAnnounced(number, 0);
    }

    /// @notice By anybody, after the notice.
    function finishLeave(uint256 number) external {
        uint256 ready = leavesAt[number];
        if (ready == 0 || block.timestamp < ready) revert NotYet(block.timestamp, ready);
        _end(number);
    }

    /// @dev Admit an organisation under the next number.
    function _add(Organisation memory keys, Proofs memory proofs) internal {
        if (organisations == MAX_ORGANISATIONS) revert TooManyOrganisations(organisations, MAX_ORGANISATIONS);
        uint256 number = ++organisations;
        members |= 1 << number;
        organisation[number] = keys;
        _take(keys.verdict, number, Role.Verdict, proofs.verdict);
        _take(keys.governance, number, Role.Governance, proofs.governance);
        _take(keys.recovery, number, Role.Recovery, proofs.recovery);
        emit OrganisationAdded(number, keys.verdict, keys.governance, keys.recovery);
    }

    /// @dev End a membership; its number and addresses are never used again.
    function _end(uint256 number) internal {
        _requireMember(number);
        members &= ~(uint256(1) << number);
        Organisation memory keys = organisation[number];
        _retire(keys.verdict, number);
        _retire(keys.governance, number);
        _retire(keys.recovery, number);
        delete recovery[number];
        delete leavesAt[number];
        emit OrganisationEnded(number);
    }

    /// @dev Announce keys that take over after the notice.
    function _announceRecovery(uint256 number, Pending memory next) internal {
        _requireMember(number);
        next.ready = uint40(block.timestamp) + NOTICE;
        recovery[number] = next;
        emit RecoveryStarted(number, next.verdict, next.governance, next.recovery, next.ready);
    }

    /// @dev Give a proven, never used address its role.
    function _take(address key, uint256 number, Role role, bytes memory proof) internal {
        _prove(key, number, role, proof);
        _assign(key, number, role);
    }

    /// @dev Take a role from an address, for ever.
    function _retire(address key, uint256 number) internal {
        roleOf[key] = uint256(Role.Retired) | (number << 8);
    }

    /// @dev The key must sign `possession`.
    function _prove(address key, uint256 number, Role role, bytes memory proof) internal view {
        address found = _recover(possession(number, role), proof);
        if (key == address(0) || found != key) revert KeyNotProven(key, found);
    }

    /// @return number Organisation of the caller, which must hold the role.
    function _caller(Role role) internal view returns (uint256 number) {
        uint256 found = roleOf[msg.sender];
        if (uint8(found) != uint8(role)) revert WrongRole(msg.sender, Role(uint8(found)), role);
        return found >> 8;
    }

    /// @dev Revert unless the organisation belongs.
    function _requireMember(uint256 number) internal view {
        if (number == 0 || number > MAX_ORGANISATIONS || members & (1 << number) == 0) revert NotMember(number);
    }

    /// @dev Proven replacement of a key.
    function _replace(uint256 number, Role role, address old, address key, bytes calldata proof) private {
        _prove(key, number, role, proof);
        _swap(number, role, old, key);
    }

    /// @dev Replacement of a key that was proven before.
    function _swap(uint256 number, Role role, address old, address key) private {
        _retire(old, number);
        _assign(key, number, role);
        emit KeyReplaced(number, role, old, key);
    }

    /// @dev One role per address, for ever.
    function _assign(address key, uint256 number, Role role) private {
        if (roleOf[key] != 0) revert KeyTaken(key, roleOf[key]);
        roleOf[key] = uint256(role) | (number << 8);
    }

    /// @dev Signer of a 65-byte signature r | s | v, 0 if it is none.
    function _recover(bytes32 digest, bytes memory signature) private pure returns (address) {
        if (signature.length != SIGNATURE_BYTES) return address(0);
        (bytes32 r, bytes32 s) = (_wordAt(signature, 0), _wordAt(signature, 32));
        return ecrecover(digest, uint8(signature[64]), r, s);
    }

    /// @dev 32 bytes of a byte string, without assembly.
    function _wordAt(bytes memory data, uint256 start) private pure returns (bytes32 word) {
        for (uint256 i = 0; i < 32; ++i) {
            word |= bytes32(data[start + i]) >> (8 * i);
        }
    }
}

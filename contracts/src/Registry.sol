// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Keys} from "./Keys.sol";
import {Life, Role, Standing} from "./Types.sol";

/// @title What an orders contract says about its place.
interface Successor {
    /// @return Where it asks who may do what.
    function CONSORTIUM() external view returns (address);
    /// @return The orders contract before it, zero for the first.
    function PREDECESSOR() external view returns (address);
}

/// @title Asset versions, detectors, devices, orders contracts.
/// @notice An asset version names the organisations that must all approve its orders and never changes after
/// registration, except from Live to Ended: an order that names it commits to its seats.
abstract contract Registry is Keys {
    /// @notice An asset version. `seats[i]` is the organisation of seat i; host and safety authority (0: none) have seats.
    struct Version {
        bytes32 asset;
        bytes32 previous;
        uint8[] seats;
        uint8 host;
        uint8 safety;
        uint32 ratifyPeriod;
        uint64 emergencyCap;
        uint16 emergencyMax;
    }

    uint256 internal constant MAX_SEATS = 64;
    uint256 internal constant MAX_PERIOD = 90 days;
    /// @dev Seats kept in the first slot, behind 144 bits of terms; 25 in each further one.
    uint256 internal constant FIRST_SEATS = 14;
    uint256 internal constant MORE_SEATS = 25;

    /// @dev life 8 | seats 8 | host 8 | safety 8 | ratifyPeriod 32 | emergencyCap 64 | emergencyMax 16 | seats 0..13.
    mapping(bytes32 version => uint256) internal _terms;
    mapping(bytes32 version => uint256[2]) internal _moreSeats;
    /// @notice Bit n: organisation n has a seat.
    mapping(bytes32 version => uint256) public membersOf;
    /// @notice Asset of a version.
    mapping(bytes32 version => bytes32) public assetOf;
    /// @notice Newest version of an asset.
    mapping(bytes32 asset => bytes32) public currentOf;
    /// @notice Life of a detector, by its digest.
    mapping(bytes32 detector => Life) public detectorOf;
    /// @notice Life of a device of an asset, by the digest of its public key.
    mapping(bytes32 asset => mapping(bytes32 device => Life)) public deviceOf;
    /// @notice Orders contracts of this consortium, in order.
    address[] public orders;
    /// @notice The last of them: it alone proposes.
    address public newestOrders;
    /// @notice Whether an orders contract is listed.
    mapping(address contract_ => bool) public isOrders;

    /// @notice A version was registered and is Live.
    event VersionRegistered(bytes32 indexed version, bytes32 indexed asset, Version terms);
    /// @notice A version was superseded, or one of its organisations belongs no more.
    event VersionEnded(bytes32 indexed version);
    /// @notice A detector was registered or revoked.
    event DetectorMoved(bytes32 indexed detector, Life life);
    /// @notice A device of an asset was registered or revoked.
    event DeviceMoved(bytes32 indexed asset, bytes32 indexed device, Life life);
    /// @notice An orders contract was listed; it is the newest now.
    event OrdersListed(address indexed contract_, uint256 index);

    /// @notice A number is outside its bounds.
    error OutOfBounds(bytes32 what, uint256 found, uint256 expected);
    /// @notice The thing is in another stage of its life.
    error WrongLife(bytes32 id, Life found, Life expected);
    /// @notice The version names another predecessor than the current one.
    error WrongPrevious(bytes32 found, bytes32 expected);
    /// @notice All members of the version still belong.
    error VersionHolds(bytes32 version);
    /// @notice The orders contract is already listed, is no contract, reads another consortium, or does not follow the newest.
    error WrongOrders(address found);

    /// @notice Id of a version: commits to this consortium and to every seat and term.
    function versionId(Version memory version) public view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(this), version));
    }

    /// @notice What an orders contract asks, in one call (see `Standing`).
    /// @param seat Index of the seat the key claims; 255 for none.
    function standing(bytes32 version, bytes32 detector, address key, uint256 seat) external view returns (Standing) {
        uint256 terms = _terms[version];
        uint256 found = (terms & ((1 << 144) - 1)) | ((roleOf[key] & 0xffff) << 144);
        found |= uint256(detectorOf[detector]) << 168;
        if (seat < MAX_SEATS) found |= _seatOf(version, terms, seat) << 160;
        return Standing.wrap(found);
    }

    /// @notice What a proposal asks besides: the asset of the version, and which orders contract is the newest.
    function grounds(bytes32 version) external view returns (bytes32 asset, address newest) {
        return (assetOf[version], newestOrders);
    }

    /// @notice Seats of a version whose organisation still belongs, one bit each.
    function present(bytes32 version) external view returns (uint256 bits) {
        uint256 terms = _terms[version];
        uint256 belong = members;
        for (uint256 seat = 0; seat < uint8(terms >> 8); ++seat) {
            if (belong & (1 << _seatOf(version, terms, seat)) != 0) bits |= 1 << seat;
        }
    }

    /// @notice Who closes orders of a version: its host, or the host of the asset's current version if that one left.
    function hostOf(bytes32 version) external view returns (uint256 host) {
        host = uint8(_terms[version] >> 16);
        if (members & (1 << host) == 0) host = uint8(_terms[currentOf[assetOf[version]]] >> 16);
    }

    /// @notice Seats of a version: organisation numbers.
    function seatsOf(bytes32 version) external view returns (uint8[] memory seats) {
        uint256 terms = _terms[version];
        seats = new uint8[](uint8(terms >> 8));
        for (uint256 seat = 0; seat < seats.length; ++seat) {
            seats[seat] = uint8(_seatOf(version, terms, seat));
        }
    }

    /// @notice Life, host and terms of a version.
    function versionOf(bytes32 version)
        external
        view
        returns (Life life, uint8 host, uint8 safety, uint32 ratifyPeriod, uint64 emergencyCap, uint16 emergencyMax)
    {
        uint256 terms = _terms[version];
        return (
            Life(uint8(terms)),
            uint8(terms >> 16),
            uint8(terms >> 24),
            uint32(terms >> 32),
            uint64(terms >> 64),
            uint16(terms >> 128)
        );
    }

    /// @notice How many orders contracts are listed.
    function ordersCount() external view returns (uint256) {
        return orders.length;
    }

    /// @notice By anybody, once an organisation of the version belongs no more: nothing can be approved under it.
    function endVersion(bytes32 version) external {
        Life found = Life(uint8(_terms[version]));
        if (found != Life.Live) revert WrongLife(version, found, Life.Live);
        if (membersOf[version] & ~members == 0) revert VersionHolds(version);
        _endVersion(version);
    }

    /// @dev Register a version; the one before ends.
    function _register(Version memory version) internal {
        _checkTerms(version);
        bytes32 old = currentOf[version.asset];
        if (version.previous != old) revert WrongPrevious(version.previous, old);
        // The first byte of an asset's id is its first host, who must agree: nobody occupies another's asset.
        if (old == 0 && uint8(version.asset[0]) != version.host) {
            revert OutOfBounds("asset", uint8(version.asset[0]), version.host);
        }
        if (old != 0 && Life(uint8(_terms[old])) == Life.Live) _endVersion(old);
        bytes32 id = versionId(version);
        // Its predecessor is in its name, so it cannot be there; what the proofs lean on is checked all the same.
        if (_terms[id] != 0) revert WrongLife(id, Life(uint8(_terms[id])), Life.Unknown);
        _storeSeats(id, version);
        membersOf[id] = _membersIn(version.seats);
        assetOf[id] = version.asset;
        currentOf[version.asset] = id;
        emit VersionRegistered(id, version.asset, version);
    }

    /// @dev Register or revoke a detector.
    function _moveDetector(bytes32 detector, Life from, Life to) internal {
        if (detectorOf[detector] != from) revert WrongLife(detector, detectorOf[detector], from);
        detectorOf[detector] = to;
        emit DetectorMoved(detector, to);
    }

    /// @dev Register or revoke a device of an asset.
    function _moveDevice(bytes32 asset, bytes32 device, Life from, Life to) internal {
        Life found = deviceOf[asset][device];
        if (found != from) revert WrongLife(device, found, from);
        deviceOf[asset][device] = to;
        emit DeviceMoved(asset, device, to);
    }

    /// @dev List an orders contract; it becomes the newest.
    function _listOrders(address contract_) internal {
        if (isOrders[contract_] || contract_.code.length == 0) revert WrongOrders(contract_);
        Successor next = Successor(contract_);
        // Two successors of one contract would not ask each other whether evidence is held.
        if (next.CONSORTIUM() != address(this) || next.PREDECESSOR() != newestOrders) revert WrongOrders(contract_);
        isOrders[contract_] = true;
        orders.push(contract_);
        newestOrders = contract_;
        emit OrdersListed(contract_, orders.length - 1);
    }

    /// @return bits Organisations of a list of seats; each must be a number and stand once.
    function _membersIn(uint8[] memory seats) internal pure returns (uint256 bits) {
        for (uint256 i = 0; i < seats.length; ++i) {
            if (seats[i] == 0 || bits & (1 << seats[i]) != 0) revert OutOfBounds("seat", seats[i], i);
            bits |= 1 << seats[i];
        }
    }

    /// @dev Live to Ended: the only change a version ever sees.
    function _endVersion(bytes32 version) private {
        _terms[version] = (_terms[version] & ~uint256(0xff)) | uint256(Life.Ended);
        emit VersionEnded(version);
    }

    /// @dev Bounds of every term, and members in every seat.
    function _checkTerms(Version memory version) private view {
        uint256 count = version.seats.length;
        if (count < 2 || count > MAX_SEATS) revert OutOfBounds("seats", count, MAX_SEATS);
        uint256 bits = _membersIn(version.seats);
        if (bits & ~members != 0) revert OutOfBounds("members", bits, members);
        if (version.host == 0 || bits & (1 << version.host) == 0) revert OutOfBounds("host", version.host, bits);
        bool seated = version.safety == 0 || bits & (1 << version.safety) != 0;
        if (!seated || version.safety == version.host) revert OutOfBounds("safety", version.safety, bits);
        if (version.ratifyPeriod == 0 || version.ratifyPeriod > MAX_PERIOD) {
            revert OutOfBounds("ratifyPeriod", version.ratifyPeriod, MAX_PERIOD);
        }
    }

    /// @dev Terms and the first seats share a slot, because every verdict reads them.
    function _storeSeats(bytes32 id, Version memory version) private {
        uint256 count = version.seats.length;
        uint256 terms = uint256(Life.Live) | (count << 8) | (uint256(version.host) << 16) | (uint256(version.safety) << 24);
        terms |= (uint256(version.ratifyPeriod) << 32) | (uint256(version.emergencyCap) << 64);
        terms |= uint256(version.emergencyMax) << 128;
        uint256[2] memory more;
        for (uint256 i = 0; i < count; ++i) {
            uint256 number = version.seats[i];
            if (i < FIRST_SEATS) terms |= number << (144 + 8 * i);
            else more[(i - FIRST_SEATS) / MORE_SEATS] |= number << (8 * ((i - FIRST_SEATS) % MORE_SEATS));
        }
        _terms[id] = terms;
        if (count > FIRST_SEATS) _moreSeats[id] = more;
    }

    /// @return Organisation of a seat, 0 if there is no such seat.
    function _seatOf(bytes32 version, uint256 terms, uint256 seat) private view returns (uint256) {
        if (seat >= uint8(terms >> 8)) return 0;
        if (seat < FIRST_SEATS) return uint8(terms >> (144 + 8 * seat));
        uint256 later = seat - FIRST_SEATS;
        return uint8(_moreSeats[version][later / MORE_SEATS] >> (8 * (later % MORE_SEATS)));
    }
}

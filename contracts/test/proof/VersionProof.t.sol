// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Keys} from "../../src/Keys.sol";
import {Registry} from "../../src/Registry.sol";
import {Cheats, Symbolic} from "./Step.sol";

/// @title Lemma: a registered version never changes, except from Live to Ended.
/// @notice From any storage: the two functions that write what a version is (that there are no others is read off the sources by a test).
contract VersionProof is Registry {
    Cheats private constant vm = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));
    Symbolic private constant svm = Symbolic(address(uint160(uint256(keccak256("svm cheat code")))));

    uint256 private constant LIFE = 0xff;

    constructor() Keys(1 days) {}

    function setUp() public {
        svm.enableSymbolicStorage(address(this));
    }

    /// @dev `_register` as a call of its own.
    function register(Version calldata version) external {
        _register(version);
    }

    /// @custom:halmos --array-lengths version.seats={2,15} --loop 32
    function check_registering_changes_no_version(Version calldata version, bytes32 x) public {
        (uint256 terms, bytes32 asset, uint256 who) = (_terms[x], assetOf[x], membersOf[x]);
        (uint256 more0, uint256 more1) = (_moreSeats[x][0], _moreSeats[x][1]);
        bytes32 current = currentOf[version.asset];
        vm.assume(x != 0 && (uint8(terms) == 1 || uint8(terms) == 2));
        this.register(version);
        assert(_terms[x] & ~LIFE == terms & ~LIFE && assetOf[x] == asset && membersOf[x] == who);
        assert(_moreSeats[x][0] == more0 && _moreSeats[x][1] == more1);
        assert(_terms[x] & LIFE == (x == current ? 2 : terms & LIFE));
        assert(currentOf[version.asset] == versionId(version) && version.previous == current);
    }

    function check_ending_changes_its_life_alone(bytes32 version, bytes32 x, address a) public {
        (uint256 terms, bytes32 asset, uint256 who) = (_terms[x], assetOf[x], membersOf[x]);
        (uint256 more0, uint256 more1) = (_moreSeats[x][0], _moreSeats[x][1]);
        uint256 was = uint8(_terms[version]);
        vm.prank(a);
        this.endVersion(version);
        assert(was == 1 && membersOf[version] & ~members != 0);
        assert(_terms[x] & ~LIFE == terms & ~LIFE && assetOf[x] == asset && membersOf[x] == who);
        assert(_moreSeats[x][0] == more0 && _moreSeats[x][1] == more1);
        assert(_terms[x] & LIFE == (x == version ? 2 : terms & LIFE));
    }
}

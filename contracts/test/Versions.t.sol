// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Consortium} from "../src/Consortium.sol";
import {Keys} from "../src/Keys.sol";
import {Registry} from "../src/Registry.sol";
import {Content, Kind, Life, Standing, Status, Why} from "../src/Types.sol";
import {Plant} from "./Plant.sol";

/// @title Asset versions, detectors, devices: their bounds, their one change of life, and nobody's name taken.
contract VersionsTest is Plant {
    function setUp() public {
        build(3);
    }

    function fails(Registry.Version memory v, bytes4 err) private {
        Consortium.Motion memory m = motion(Kind.RegisterVersion, abi.encode(v));
        send(address(consortium), governor(1), abi.encodeCall(consortium.vote, (m)));
        send(address(consortium), governor(2), abi.encodeCall(consortium.vote, (m)));
        barred(governor(3), abi.encodeCall(consortium.vote, (m)), err);
    }

    function test_every_term_has_its_bounds() public {
        bytes4 err = Registry.OutOfBounds.selector;
        Registry.Version memory v = terms(3, version);
        (v.host, v.safety) = (4, 3);
        fails(v, err);
        (v.host, v.safety) = (1, 4);
        fails(v, err);
        (v.host, v.safety) = (3, 3);
        fails(v, err);
        (v.host, v.ratifyPeriod) = (1, 0);
        fails(v, err);
        v.ratifyPeriod = 90 days + 1;
        fails(v, err);
        v = terms(3, version);
        v.seats[0] = 2;
        fails(v, err);
        v.seats[0] = 0;
        fails(v, err);
        v = terms(3, version);
        v.seats[0] = 9;
        fails(v, err);
        v = terms(1, version);
        fails(v, err);
        fails(terms(3, bytes32(0)), Registry.WrongPrevious.selector);
        fails(terms(3, bytes32("other")), Registry.WrongPrevious.selector);
    }

    /// @dev The first version's host is the first byte of the asset's id, so it has agreed.
    function testFuzz_nobody_takes_the_name_of_anothers_asset(bytes32 asset, uint8 host) public {
        host = uint8(1 + host % 3);
        Registry.Version memory v = terms(3, bytes32(0));
        (v.asset, v.host, v.safety) = (asset, host, 0);
        vm.assume(asset != ASSET);
        if (uint8(asset[0]) != host) return fails(v, Registry.OutOfBounds.selector);
        pass(3, Kind.RegisterVersion, abi.encode(v));
        require(consortium.currentOf(asset) == consortium.versionId(v), "current");
    }

    function test_a_new_version_ends_the_one_before_and_its_open_orders_expire() public {
        Content memory c = content(1);
        propose(c);
        bytes32 old = version;
        version = register(3, old);
        (Life life,,,,,) = consortium.versionOf(old);
        require(life == Life.Ended, "old one lives");
        denied(verdictKey(1), approving(c, 0), Why.Version);
        refuse(c, 1);
        check(c, Status.Refused);
        c = content(2);
        c.assetVersion = old;
        denied(builder, proposing(c), Why.Version);
    }

    function test_anybody_ends_a_version_whose_organisation_left_and_no_other() public {
        bytes memory ending = abi.encodeCall(consortium.endVersion, (version));
        barred(address(5), ending, Registry.VersionHolds.selector);
        expel(3, 3);
        govern(address(5), ending);
        barred(address(5), ending, Registry.WrongLife.selector);
        barred(address(5), abi.encodeCall(consortium.endVersion, (bytes32("?"))), Registry.WrongLife.selector);
    }

    function test_a_detector_and_a_device_never_come_back() public {
        pass(3, Kind.RevokeDetector, abi.encode(DETECTOR));
        Consortium.Motion memory m = motion(Kind.AddDetector, abi.encode(DETECTOR));
        voteBy(m, 1 << 1 | 1 << 2);
        barred(governor(3), abi.encodeCall(consortium.vote, (m)), Registry.WrongLife.selector);
        pass(3, Kind.AddDevice, abi.encode(ASSET, bytes32("device")));
        require(consortium.deviceOf(ASSET, "device") == Life.Live, "device");
        pass(3, Kind.RevokeDevice, abi.encode(ASSET, bytes32("device")));
        m = motion(Kind.AddDevice, abi.encode(ASSET, bytes32("device")));
        voteBy(m, 1 << 1 | 1 << 2);
        barred(governor(3), abi.encodeCall(consortium.vote, (m)), Registry.WrongLife.selector);
    }

    function test_nobody_registers_a_device_of_an_asset_that_is_not_there() public {
        Consortium.Motion memory m = motion(Kind.AddDevice, abi.encode(bytes32("asset"), bytes32("device")));
        barred(governor(1), abi.encodeCall(consortium.vote, (m)), Consortium.ConcernsTooFew.selector);
    }

    /// @dev All 64 seats are kept, across the slots that hold them, and each answers for its own organisation.
    function test_sixty_four_seats_keep_their_organisations() public {
        build(64);
        uint8[] memory seats = consortium.seatsOf(version);
        require(seats.length == 64 && consortium.present(version) == type(uint64).max, "seats");
        for (uint256 i = 0; i < 64; ++i) {
            Standing s = consortium.standing(version, DETECTOR, verdictKey(i + 1), i);
            require(seats[i] == i + 1 && s.seated() == i + 1 && s.organisation() == i + 1, "seat");
        }
        Content memory c = content(1);
        propose(c);
        for (uint256 n = 1; n <= 64; ++n) {
            check(c, Status.Proposed);
            approve(c, n);
        }
        check(c, Status.Validated);
    }

    function testFuzz_terms_are_kept_as_they_were_agreed(uint32 period, uint64 cap, uint16 most) public {
        Registry.Version memory v = terms(3, version);
        (v.ratifyPeriod, v.emergencyCap, v.emergencyMax) = (uint32(1 + period % 90 days), cap, most);
        pass(3, Kind.RegisterVersion, abi.encode(v));
        (Life life, uint8 host, uint8 safety, uint32 p, uint64 c, uint16 m) =
            consortium.versionOf(consortium.versionId(v));
        require(life == Life.Live && host == 1 && safety == 3, "who");
        require(p == v.ratifyPeriod && c == cap && m == most, "terms");
    }

    function test_the_founding_is_bounded() public {
        bool done;
        for (uint256 count = 0; count < 2; ++count) {
            try this.found(count, 1 days) {
                done = true;
            } catch {}
        }
        try this.found(3, 1 hours - 1) {
            done = true;
        } catch {}
        try this.found(3, 90 days + 1) {
            done = true;
        } catch {}
        require(!done, "founded out of bounds");
        this.found(2, 1 hours);
    }

    function found(uint256 count, uint40 notice) external {
        address expected = vm.computeCreateAddress(address(this), vm.getNonce(address(this)));
        Keys.Organisation[] memory first = new Keys.Organisation[](count);
        Keys.Proofs[] memory proofs = new Keys.Proofs[](count);
        for (uint256 i = 0; i < count; ++i) {
            (first[i], proofs[i]) = organisation(expected, i + 1);
        }
        new Consortium(first, proofs, new address[](0), new bytes[](0), notice);
    }
}

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from ledger_service.chain import consortium, motions
from ledger_service.chain.client import ChainLedger
from ledger_service.chain.consortium import VersionTerms
from ledger_service.domain import errors, ids
from tests.peers.consortium import ASSET, DETECTOR, DEVICE, Founded, accounts, signer


@pytest.fixture
async def ledger(founded: Founded) -> AsyncIterator[ChainLedger]:
    opened = founded.ledger()
    yield opened
    await opened.close()


async def test_what_the_motions_said_stands_on_chain(ledger: ChainLedger, founded: Founded) -> None:
    version = await ledger.current_version(ASSET)

    assert version is not None
    assert (version.id, version.seats, version.host) == (founded.version, (1, 2, 3), 1)
    assert await ledger.version(founded.version) == version
    assert await ledger.detector_live(DETECTOR)
    assert await ledger.device_live(ASSET, DEVICE)
    assert await ledger.is_builder(founded.builder.address)
    assert await ledger.orders_listed() == (founded.deployment.orders,)


async def test_members_are_known_by_number_and_by_verdict_key(
    ledger: ChainLedger, founded: Founded
) -> None:
    keys = founded.organisations[1]

    member = await ledger.organisation(2)

    assert member is not None
    assert (member.verdict, member.governance) == (keys.verdict.address, keys.governance.address)
    assert await ledger.organisation_of(keys.verdict.address) == 2
    assert await ledger.organisation_of(keys.governance.address) is None
    assert await ledger.organisation(9) is None


async def test_what_nobody_registered_is_not_live(ledger: ChainLedger) -> None:
    other = bytes(31) + b"\x09"

    assert not await ledger.detector_live(ids.DetectorId(other))
    assert not await ledger.device_live(ASSET, ids.DeviceId(other))
    assert await ledger.version(ids.VersionId(other)) is None
    assert await ledger.current_version(ids.AssetId(other)) is None


async def test_many_motions_pass_side_by_side(ledger: ChainLedger, founded: Founded) -> None:
    detectors = [ids.DetectorId(bytes([1, number]) * 16) for number in range(12)]
    items = [consortium.motion("AddDetector", detector) for detector in detectors]

    async with accounts(founded.settings, founded.governors()) as voters:
        await consortium.pass_all(founded.deployment.consortium, items, voters)

    assert all([await ledger.detector_live(detector) for detector in detectors])


async def test_votes_one_by_one_pass_a_motion_and_its_history_tells(
    ledger: ChainLedger, founded: Founded
) -> None:
    item = consortium.motion("AddDetector", b"\x07" * 32)

    async with accounts(founded.settings, founded.governors()) as voters:
        await consortium.vote(founded.deployment.consortium, item, voters)
    history = await motions.history(ledger.ask, founded.deployment)

    told = next(entry for entry in history if entry["salt"] == item.salt.hex())
    assert (told["state"], told["votes"]) == ("executed", [1, 2, 3])
    assert told["arguments"] == ["detector: " + "07" * 32]


async def test_a_motion_that_lacks_a_vote_stays_open(ledger: ChainLedger, founded: Founded) -> None:
    item = consortium.motion("AddDetector", b"\x08" * 32)

    async with accounts(founded.settings, founded.governors()[:2]) as voters:
        await consortium.vote(founded.deployment.consortium, item, voters)
    history = await motions.history(ledger.ask, founded.deployment)

    told = next(entry for entry in history if entry["salt"] == item.salt.hex())
    assert (told["state"], told["votes"]) == ("open", [1, 2])
    assert not await ledger.detector_live(ids.DetectorId(b"\x08" * 32))


async def test_a_vote_of_a_stranger_is_refused_by_name(founded: Founded) -> None:
    item = consortium.motion("AddDetector", b"\x0a" * 32)

    async with accounts(founded.settings, [founded.stranger]) as voters:
        with pytest.raises(errors.CallReverted) as refused:
            await consortium.vote(founded.deployment.consortium, item, voters)

    assert refused.value.fields["why"] == "WrongRole"


async def test_a_motion_that_cannot_be_executed_ends_all_voters_at_once(founded: Founded) -> None:
    twice = consortium.motion("AddDetector", DETECTOR)

    async with accounts(founded.settings, founded.governors()) as voters:
        with pytest.raises(errors.SendRejected, match="reverted"):
            await consortium.pass_all(founded.deployment.consortium, [twice], voters)


async def test_the_right_chain_is_told_from_another(ledger: ChainLedger, founded: Founded) -> None:
    await ledger.check()
    deployment = founded.deployment
    wrong = [
        replace(deployment, chain_id=deployment.chain_id + 1),
        replace(deployment, genesis=b"\x01" * 32),
        replace(deployment, orders=deployment.consortium),
        replace(deployment, consortium=signer("nobody").address),
    ]
    for other in wrong:
        client = ChainLedger(founded.settings, other)
        with pytest.raises(errors.WrongChain):
            await client.check()
        await client.close()


async def test_a_device_passes_with_the_first_version_of_its_asset_in_any_order(
    ledger: ChainLedger, founded: Founded
) -> None:
    asset = ids.asset_id("1/robot-new")
    terms = VersionTerms(asset, (1, 2, 3), 1, 3)
    items = [
        consortium.motion("AddDevice", asset, DEVICE),
        consortium.motion("RegisterVersion", terms.as_tuple()),
    ]

    async with accounts(founded.settings, founded.governors()) as voters:
        await consortium.pass_all(founded.deployment.consortium, items, voters)

    assert await ledger.device_live(asset, DEVICE)

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from ledger_service import ports
from ledger_service.domain import dsse, errors
from ledger_service.domain.units import Quantity
from ledger_service.services.seal import Limits, Sealed, Sealing
from ledger_service.testing import MemoryObjects
from ledger_service.testing.clock import START
from tests.unit.services.gateway import DETECTOR, Gateway, Packed, entry, pieces
from tests.unit.services.site import MemoryLocations, Site, World


@pytest.fixture
def site() -> Site:
    return Site(World())


def keys(site: Site) -> list[str]:
    assert isinstance(site.world.objects, MemoryObjects)
    return sorted(site.world.objects.objects)


async def offer(site: Site, packed: Packed, *files: dict[str, bytes]) -> None:
    """Offer these files, whatever the statement says."""
    sealing = await site.seal.begin(packed.envelope)
    assert isinstance(sealing, Sealing)
    async with sealing:
        for path, data in (pair for group in files for pair in group.items()):
            await sealing.file(path, pieces(data))
        await sealing.finish()


async def is_empty(site: Site) -> bool:
    return not keys(site) and not await site.track.latest(10)


async def test_sealed_evidence_has_its_bytes_its_row_and_its_hop(site: Site) -> None:
    packed = site.world.gateway.pack()

    answer = await site.post(packed)

    assert answer == Sealed(packed.id, packed.claim.dataset_root, new=True)
    journey = await site.track.evidence(packed.id)
    assert (journey.state, journey.evidence.gap) == ("Sealed", False)
    assert [(hop.name, hop.detail) for hop in journey.hops] == [("sealed", "2 file(s), 12 bytes")]
    for path, data in packed.files.items():
        opened = await site.fetch.file(packed.id, path)
        assert b"".join([chunk async for chunk in opened.chunks]) == data
    assert await site.fetch.envelope(packed.id) == packed.envelope
    assert not [key for key in keys(site) if key.startswith("staging")]


async def test_the_same_evidence_again_has_the_same_answer_and_its_files_are_not_read(
    site: Site,
) -> None:
    packed = site.world.gateway.pack()
    first = await site.post(packed)

    again = await site.seal.begin(packed.envelope)

    assert again == replace(first, new=False)


async def test_the_same_evidence_twice_at_once_is_sealed_once_and_both_are_told(site: Site) -> None:
    packed = site.world.gateway.pack()

    answers = await asyncio.gather(site.post(packed), site.post(packed))

    assert sorted(answer.new for answer in answers) == [False, True]
    assert len(await site.track.latest(10)) == 1


async def test_of_two_uploads_of_the_same_evidence_that_both_began_the_later_has_the_same_answer(
    site: Site,
) -> None:
    packed = site.world.gateway.pack()
    late = await site.seal.begin(packed.envelope)
    first = await site.post(packed)
    assert isinstance(late, Sealing)

    async with late:
        for path, data in packed.files.items():
            await late.file(path, pieces(data))
        assert await late.finish() == replace(first, new=False)


class Overtaken:
    """A store; before its first writing another call comes to its end."""

    def __init__(self, store: ports.Store, meanwhile: Callable[[], Awaitable[object]]) -> None:
        self._store = store
        self._meanwhile = meanwhile
        self._writings = 0

    def reading(self) -> AbstractAsyncContextManager[ports.Transaction]:
        return self._store.reading()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[ports.Transaction]:
        self._writings += 1
        if self._writings == 1:
            await self._meanwhile()
        async with self._store.transaction() as rows:
            yield rows


async def test_evidence_that_another_call_seals_while_it_comes_in_has_the_same_answer(
    site: Site,
) -> None:
    packed = site.world.gateway.pack()
    store = Overtaken(site.world.store, lambda: site.post(packed))
    late = Site(World(store=store, objects=site.world.objects))

    answer = await late.post(packed)

    assert not answer.new
    assert answer.evidence == (await site.track.latest(10))[0].evidence.id


async def test_a_gap_in_the_sequence_is_accepted_and_flagged(site: Site) -> None:
    site.world.gateway.pack()
    packed = site.world.gateway.pack()

    await site.post(packed)

    journey = await site.track.evidence(packed.id)
    assert journey.evidence.gap
    assert journey.hops[0].detail.endswith(" bytes, a statement before it is missing")
    await site.post(after := site.world.gateway.pack())
    assert not (await site.track.evidence(after.id)).evidence.gap


async def test_other_bytes_under_the_same_number_are_refused_before_the_upload(site: Site) -> None:
    gateway = site.world.gateway
    await site.post(gateway.pack())
    gateway.sequence, gateway.previous = 0, None

    with pytest.raises(errors.SequenceFork):
        await site.seal.begin(gateway.pack({"other.csv": b"other"}).envelope)


async def test_a_previous_statement_with_another_number_is_a_fork(site: Site) -> None:
    gateway = site.world.gateway
    await site.post(gateway.pack())
    gateway.sequence = 5

    with pytest.raises(errors.SequenceFork, match="another number"):
        await site.post(gateway.pack())


async def test_a_fork_that_races_is_refused_at_the_commit_and_its_staging_is_cleared(
    site: Site,
) -> None:
    gateway = site.world.gateway
    one = gateway.pack()
    gateway.sequence, gateway.previous = 0, None
    other = gateway.pack({"other.csv": b"other"})

    answers = await asyncio.gather(site.post(one), site.post(other), return_exceptions=True)

    assert [type(answer) for answer in answers] == [Sealed, errors.SequenceFork]
    assert not [key for key in keys(site) if key.startswith("staging")]


async def test_the_same_files_under_another_statement_are_refused(site: Site) -> None:
    gateway = site.world.gateway
    files = {"samples.csv": b"1"}
    await site.post(gateway.pack(files))

    with pytest.raises(errors.DatasetReused):
        await site.post(gateway.pack(files))


@pytest.mark.parametrize(
    ("path", "data", "wrong"),
    [
        ("samples.csv", b"speed\n2\n", errors.DigestMismatch),
        ("samples.csv", b"speed\n1\nmore", errors.DigestMismatch),
        ("samples.csv", b"speed", errors.DigestMismatch),
        ("third.csv", b"", errors.ExtraFile),
        ("../up.csv", b"", errors.UnsafePath),
        ("note.txt", b"same", errors.DuplicatePath),
    ],
)
async def test_a_wrong_file_leaves_nothing_behind(
    site: Site, path: str, data: bytes, wrong: type[errors.LedgerError]
) -> None:
    packed = site.world.gateway.pack()

    with pytest.raises(wrong):
        await offer(site, packed, {"note.txt": b"same"}, {path: data})

    assert await is_empty(site)
    assert (await site.post(packed)).new


async def test_a_missing_file_leaves_nothing_behind(site: Site) -> None:
    packed = site.world.gateway.pack()

    with pytest.raises(errors.MissingFile, match=r"samples\.csv"):
        await offer(site, packed, {"note.txt": b"same"})

    assert await is_empty(site)


async def test_the_window_may_neither_end_in_the_future_nor_be_too_old(site: Site) -> None:
    gateway = site.world.gateway
    for shift in (timedelta(minutes=3), timedelta(days=-31)):
        window = gateway._claim({"a": b""}).window
        moved = replace(window, start=window.start + shift, end=START + shift)
        with pytest.raises(errors.WindowOutOfRange):
            await site.post(gateway.pack(window=moved))
    for shift in (timedelta(minutes=2), timedelta(days=-30)):
        window = gateway._claim({"a": b""}).window
        moved = replace(window, start=window.start + shift, end=START + shift)
        assert isinstance(await site.seal.begin(gateway.pack(window=moved).envelope), Sealing)


async def test_a_score_that_does_not_exceed_the_threshold_asks_for_nothing(site: Site) -> None:
    with pytest.raises(errors.BelowThreshold):
        await site.post(site.world.gateway.pack(score=Quantity(9, -1, "1")))


async def test_only_what_the_chain_knows_is_taken_in(site: Site) -> None:
    gateway, ledger = site.world.gateway, site.world.ledger
    stranger = Gateway("stranger")
    with pytest.raises(errors.UnknownDevice):
        await site.post(stranger.pack())
    with pytest.raises(errors.UnknownAsset):
        await site.post(gateway.pack(asset="1/robot-8"))
    with pytest.raises(errors.NoJobPlan):
        await site.post(gateway.pack(failure_mode="unheard-of"))
    ledger.revoke_detector(DETECTOR)
    with pytest.raises(errors.DetectorNotLive):
        await site.post(gateway.pack())
    ledger.end_version(site.world.version)
    with pytest.raises(errors.UnknownAsset):
        await site.post(gateway.pack())

    assert await is_empty(site)


async def test_without_a_signature_or_with_a_wrong_one_nothing_is_taken_in(site: Site) -> None:
    payload = dsse.loads(site.world.gateway.pack().envelope).payload
    unsigned = dsse.Envelope(payload, dsse.STATEMENT_TYPE, ()).dumps()
    forged = Gateway("other").sign(payload, keyid=site.world.gateway.id.hex())
    with pytest.raises(errors.MissingSignature):
        await site.seal.begin(unsigned)
    with pytest.raises(errors.BadSignature):
        await site.seal.begin(forged)
    with pytest.raises(errors.MissingSignature):
        await site.seal.begin(Gateway("other").sign(payload))

    lenient = Site(site.world, limits=Limits(require_signature=False))
    assert isinstance(await lenient.seal.begin(unsigned), Sealing)
    with pytest.raises(errors.BadSignature):
        await lenient.seal.begin(forged)


async def test_limits_are_held_against_what_the_statement_says_before_a_byte_is_read(
    site: Site,
) -> None:
    packed = site.world.gateway.pack({"a": bytes(10), "b": bytes(10)})
    for limits in (Limits(max_file=9), Limits(max_total=19)):
        with pytest.raises(errors.TooLarge):
            await Site(site.world, limits=limits).seal.begin(packed.envelope)
    just = Site(site.world, limits=Limits(max_file=10, max_total=20))
    assert isinstance(await just.seal.begin(packed.envelope), Sealing)


async def test_a_full_backlog_takes_nothing_more_until_an_order_is_settled(site: Site) -> None:
    small = Site(site.world, limits=Limits(backlog=1))
    first, second = site.world.gateway.pack(), site.world.gateway.pack()
    await small.post(first)
    with pytest.raises(errors.BacklogFull):
        await small.post(second)
    assert not (await small.post(first)).new

    await site.validate(first)

    assert (await small.post(second)).new


async def test_a_token_of_one_asset_speaks_for_no_other(site: Site) -> None:
    packed = site.world.gateway.pack()
    with pytest.raises(errors.Forbidden):
        await site.seal.begin(packed.envelope, only="1/robot-8")

    assert isinstance(await site.seal.begin(packed.envelope, only="1/robot-7"), Sealing)


async def test_equal_files_of_two_datasets_are_kept_once(site: Site) -> None:
    await site.post(site.world.gateway.pack())
    await site.post(site.world.gateway.pack())

    assert len(keys(site)) == 3
    assert f"files/{entry('note.txt', b'same').root.hex()}-65536" in keys(site)


async def test_tidying_deletes_what_was_abandoned_and_nothing_that_is_under_way(site: Site) -> None:
    sealing = await site.seal.begin(site.world.gateway.pack().envelope)
    assert isinstance(sealing, Sealing)
    await sealing.file("note.txt", pieces(b"same"))

    assert not await site.seal.tidy()
    assert len(keys(site)) == 1
    site.world.clock.advance(days=1, seconds=1)
    await site.seal.tidy()
    assert keys(site) == []


async def test_files_of_a_location_are_copied_and_hashed_like_an_upload() -> None:
    locations = MemoryLocations({"az://plant/1/samples.csv": b"1", "az://plant/1/note.txt": b"2"})
    site = Site(World(locations=locations))
    packed = site.world.gateway.pack({"samples.csv": b"1", "note.txt": b"2"})
    with pytest.raises(errors.LocationNotAllowed):
        await site.seal.from_location(packed.envelope, "az://elsewhere")
    with pytest.raises(errors.Forbidden):
        await site.seal.from_location(packed.envelope, "az://plant/1", only="1/robot-8")
    note = locations.files.pop("az://plant/1/note.txt")
    with pytest.raises(errors.MissingFile, match=r"note\.txt"):
        await site.seal.from_location(packed.envelope, "az://plant/1")
    locations.files["az://plant/1/note.txt"] = b"3"
    with pytest.raises(errors.DigestMismatch):
        await site.seal.from_location(packed.envelope, "az://plant/1")
    assert await is_empty(site)

    locations.files["az://plant/1/note.txt"] = note
    first = await site.seal.from_location(packed.envelope, "az://plant/1")

    assert first.new
    assert not (await site.seal.from_location(packed.envelope, "az://plant/1")).new

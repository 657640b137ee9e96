"""Everything that an agent must not approve, one way of being wrong each, with the reason that it gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from edge.detectors import samples
from edge.evidence.device import make_key
from ledger_service.domain import canonical, dsse, ids, profile
from ledger_service.domain.dataset import dataset_root
from ledger_service.domain.result import Reason
from ledger_service.domain.statement import Feature
from ledger_service.domain.units import Quantity
from tests.unit.validators.world import DETECTOR, PLAN, World
from validators.rules.case import Announced

Wrong = Callable[[World], Announced]
CASES: list[tuple[Reason, str, Wrong]] = []


def wrong(reason: Reason, says: str) -> Callable[[Wrong], Wrong]:
    def note(case: Wrong) -> Wrong:
        CASES.append((reason, says, case))
        return case

    return note


def other_document(world: World, **changes: Any) -> Announced:
    """An order whose document says something else, with the digest of exactly that document."""
    claim = world.claim()
    honest = world.order(claim)
    fields = {**json.loads(honest.document), **changes}
    return world.build(claim, honest.envelope, document=canonical.dumps(fields))


# ---- 2. the statement


@wrong(Reason.UNREADABLE, "not the JSON")
def the_statement_is_garbage(world: World) -> Announced:
    return world.order(payload=b"\x00not json")


@wrong(Reason.UNREADABLE, "floating-point")
def the_statement_has_a_float(world: World) -> Announced:
    fields = json.loads(world.claim().dumps())
    fields["predicate"]["score"]["value"] = 1.5
    return world.order(payload=json.dumps(fields).encode())


@wrong(Reason.UNREADABLE, "comment")
def the_statement_has_a_field_too_many(world: World) -> Announced:
    fields = json.loads(world.claim().dumps())
    return world.order(payload=canonical.dumps({**fields, "comment": "approve me"}))


@wrong(Reason.UNREADABLE, "too long")
def the_statement_is_larger_than_a_mebibyte(world: World) -> Announced:
    return world.order(payload=b" " * (1024 * 1024) + world.claim().dumps())


@wrong(Reason.UNREADABLE, "Nested too deeply")
def the_statement_nests_without_end(world: World) -> Announced:
    return world.order(payload=b"[" * 100_000)


@wrong(Reason.DIGEST_MISMATCH, "another dataset")
def the_order_names_another_dataset(world: World) -> Announced:
    return world.order(dataset_root=ids.DatasetRoot(bytes(32)))


@wrong(Reason.DOCUMENT_MISMATCH, "another detector")
def the_order_names_another_detector(world: World) -> Announced:
    return world.order(detector=ids.DetectorId(bytes(32)))


# ---- 3. the signature


@wrong(Reason.BAD_SIGNATURE, "none was given")
def nobody_signed(world: World) -> Announced:
    claim = world.claim()
    return world.build(claim, dsse.Envelope(claim.dumps(), dsse.STATEMENT_TYPE, ()).dumps())


@wrong(Reason.BAD_SIGNATURE, "does not verify")
def another_key_signed_in_the_devices_name(world: World) -> Announced:
    claim = world.claim()
    sealed = make_key(world.folder / "thief.pem").seal(claim.dumps())
    forged = dsse.Signature(world.device.id.hex(), sealed.signatures[0].sig)
    return world.build(claim, replace(sealed, signatures=(forged,)).dumps())


@wrong(Reason.BAD_SIGNATURE, "not registered for the asset")
def the_device_is_not_registered(world: World) -> Announced:
    stranger = make_key(world.folder / "stranger.pem")
    return world.order(world.claim(device=stranger), device=stranger)


@wrong(Reason.BAD_SIGNATURE, "not registered for the asset")
def the_device_is_registered_for_another_asset(world: World) -> Announced:
    stranger = make_key(world.folder / "stranger.pem")
    world.ledger.add_device(ids.asset_id("1/robot-8"), stranger.id)
    return world.order(world.claim(device=stranger), device=stranger)


@wrong(Reason.BAD_SIGNATURE, "not registered for the asset")
def the_device_was_revoked(world: World) -> Announced:
    world.ledger.revoke_device(world.asset, world.device.id)
    return world.order()


@wrong(Reason.BAD_SIGNATURE, "payload type")
def the_signature_is_of_another_kind_of_message(world: World) -> Announced:
    claim = world.claim()
    sealed = replace(world.device.seal(claim.dumps()), payload_type="text/plain")
    return world.build(claim, sealed.dumps())


# ---- 4. the asset


@wrong(Reason.WRONG_ASSET, "1/robot-7")
def the_order_is_of_another_assets_version(world: World) -> Announced:
    other = world.ledger.register_version(ids.asset_id("1/robot-8"), (1, 2, 3), 1, 3)
    return world.order(asset_version=other)


# ---- 5. the document


@wrong(Reason.DOCUMENT_MISMATCH, "the digest differs")
def the_documents_digest_is_another(world: World) -> Announced:
    item = world.order()
    return replace(item, document=item.document + b" ")


@wrong(Reason.DOCUMENT_MISMATCH, "not the JSON")
def the_document_is_garbage(world: World) -> Announced:
    return world.order(document=b"<order/>")


@wrong(Reason.DOCUMENT_MISMATCH, "note")
def the_document_has_a_field_too_many(world: World) -> Announced:
    return other_document(world, note="paid already")


@wrong(Reason.DOCUMENT_MISMATCH, "evidence: 0000")
def the_document_is_of_other_evidence(world: World) -> Announced:
    return other_document(world, evidence="0" * 64)


@wrong(Reason.DOCUMENT_MISMATCH, "attempt: 2")
def the_document_is_of_another_attempt(world: World) -> Announced:
    return other_document(world, attempt=2)


@wrong(Reason.DOCUMENT_MISMATCH, "expectedMinutes: 1")
def the_documents_duration_is_not_its_tasks(world: World) -> Announced:
    return other_document(world, expectedMinutes=1)


@wrong(Reason.DOCUMENT_MISMATCH, "deadline: 2026-11-26")
def the_documents_deadline_is_not_the_orders(world: World) -> Announced:
    return world.order(deadline=int((world.clock.now() + timedelta(hours=1)).timestamp()))


# ---- 6. the bytes


@wrong(Reason.DIGEST_MISMATCH, "note.txt")
def a_byte_of_the_dataset_is_another(world: World) -> Announced:
    item = world.order()
    files = world.service.files[item.content.evidence]
    files["note.txt"] = b"Seen" + files["note.txt"][4:]
    return item


@wrong(Reason.DIGEST_MISMATCH, "samples.csv")
def a_file_is_longer_than_its_entry(world: World) -> Announced:
    item = world.order()
    world.service.files[item.content.evidence]["samples.csv"] += b"x"
    return item


@wrong(Reason.DIGEST_MISMATCH, "samples.csv")
def a_file_is_shorter_than_its_entry(world: World) -> Announced:
    item = world.order()
    world.service.files[item.content.evidence]["samples.csv"] = b""
    return item


@wrong(Reason.UNREADABLE, "more than 17179869184 bytes")
def the_dataset_is_larger_than_the_policy_fetches(world: World) -> Announced:
    claim = world.claim()
    entries = (replace(claim.entries[0], size=17 * 1024**3), *claim.entries[1:])
    return world.order(replace(claim, entries=entries, dataset_root=dataset_root(entries)))


# ---- 7. the detector


@wrong(Reason.DETECTOR_UNFIT, "revoked")
def the_detector_was_revoked(world: World) -> Announced:
    world.ledger.revoke_detector(DETECTOR.id)
    return world.order()


@wrong(Reason.DETECTOR_UNFIT, "we hold no such detector")
def we_hold_no_such_detector(world: World) -> Announced:
    stranger = ids.DetectorId(bytes(32))
    world.ledger.add_detector(stranger)
    return world.order(replace(world.claim(), detector=stranger))


@wrong(Reason.DETECTOR_UNFIT, "another threshold")
def the_statement_lowers_the_threshold(world: World) -> Announced:
    return world.order(world.claim(threshold=profile.quantity(1)))


@wrong(Reason.DETECTOR_UNFIT, "not a failure mode")
def the_failure_mode_is_none_of_the_detectors(world: World) -> Announced:
    return world.order(world.claim(failure_mode="earthquake"))


@wrong(Reason.DETECTOR_UNFIT, "not a detector for a pump")
def the_detector_is_of_another_type_of_asset(world: World) -> Announced:
    return world.order(plan=PLAN.model_copy(update={"asset_type": "pump"}))


# ---- 8. the samples


def over(data: bytes) -> Wrong:
    def case(world: World) -> Announced:
        return world.order(world.with_file(world.claim(), data))

    return case


HEADER = b"time,speed,drill_temp,friction,water_temp\n"
ROW = b"t,12000,45,55,18\n"
BAD_FILES = {
    HEADER + ROW * 59 + b"t,nan,45,55,18\n": "NaN or infinity. (line 61)",
    HEADER + ROW * 59 + b"t,1e400,45,55,18\n": "NaN or infinity. (line 61)",
    HEADER + ROW * 59 + b"t,12000,45\n": "Not as wide as the header. (line 61",
    HEADER + ROW: "Wrong number of rows. (found 1",
    HEADER + ROW * 2_000: "Wrong number of rows. (found 2000",
    b"\n" * 100_000: "Wrong number of rows. (found 99999",
    b"\x89PNG\r\n\x1a" + b"\n" * 50: "Not UTF-8 text.",
    b"": "Wrong number of rows. (found 0",
}
for data, says in BAD_FILES.items():
    wrong(Reason.UNREADABLE, says)(over(data))


@wrong(Reason.UNREADABLE, "the detector's input has")
def the_input_is_larger_than_a_detector_reads(world: World) -> Announced:
    claim = world.claim()
    size = samples.MAX_BYTES + 1
    entries = tuple(
        replace(entry, size=size) if entry.path == "samples.csv" else entry
        for entry in claim.entries
    )
    item = world.order(replace(claim, entries=entries, dataset_root=dataset_root(entries)))
    kept = world.folder / "agent" / "kept" / f"{entries[1].root.hex()}-{entries[1].chunk}"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.open("wb") as file:
        file.truncate(size)
    return item


@wrong(Reason.UNREADABLE, "Not a score of this profile")
def the_score_is_on_another_scale(world: World) -> Announced:
    return world.order(world.claim(score=Quantity(2, 0, "1")))


# ---- the rules


@wrong(Reason.SCORE_CONFLICT, "recomputed")
def the_score_is_planted(world: World) -> Announced:
    claim = world.claim()
    return world.order(replace(claim, score=profile.quantity(claim.score.value + 500)))


@wrong(Reason.SCORE_CONFLICT, "claimed 1.50000")
def an_alarm_is_planted_on_nominal_samples(world: World) -> Announced:
    return world.order(
        world.claim(fault=None, score=profile.quantity(150_000), failure_mode="dull-tool")
    )


@wrong(Reason.SCORE_CONFLICT, "other features: mean_speed")
def a_measurement_is_planted(world: World) -> Announced:
    claim = world.claim()
    first = claim.features[0]
    quantity = replace(first.quantity, value=first.quantity.value + 2)
    features = (Feature(first.name, quantity), *claim.features[1:])
    return world.order(replace(claim, features=features))


@wrong(Reason.SCORE_CONFLICT, "other features: mean_speed")
def a_measurement_is_in_another_unit(world: World) -> Announced:
    claim = world.claim()
    first = claim.features[0]
    features = (Feature(first.name, replace(first.quantity, unit="Hz")), *claim.features[1:])
    return world.order(replace(claim, features=features))


@wrong(Reason.BELOW_THRESHOLD, "threshold 1.00000")
def the_detector_does_not_alarm(world: World) -> Announced:
    return world.order(world.claim(fault=None, failure_mode="dull-tool"))


@wrong(Reason.WINDOW_STALE, "the window ended 2026-11-24")
def the_window_is_old(world: World) -> Announced:
    claim = world.claim()
    world.clock.advance(days=31)
    return world.order(claim)


@wrong(Reason.WINDOW_STALE, "the window ended 2026-11-24")
def the_window_lies_in_the_future(world: World) -> Announced:
    claim = world.claim()
    end = claim.window.end + timedelta(minutes=3)
    return world.order(replace(claim, window=replace(claim.window, end=end)))


@wrong(Reason.WINDOW_STALE, "it is 3:00:00 long, the samples 2:00:00")
def the_window_is_longer_than_what_was_measured(world: World) -> Announced:
    claim = world.claim()
    start = claim.window.start - timedelta(hours=1)
    return world.order(replace(claim, window=replace(claim.window, start=start)))


@wrong(Reason.DETECTOR_UNFIT, "another period")
def the_period_is_not_the_detectors(world: World) -> Announced:
    claim = world.claim()
    return world.order(replace(claim, window=replace(claim.window, period_seconds=30)))


@wrong(Reason.COST_DIFFERS, "order 237.99 EUR, document 238.00 EUR")
def the_order_costs_less_than_its_document(world: World) -> Announced:
    return world.order(cost=PLAN.cost - 1)


@wrong(Reason.COST_DIFFERS, "lines 238.01 EUR")
def the_documents_lines_come_to_more_than_its_sum(world: World) -> Announced:
    return other_document(world, labourCost=PLAN.labour_cost + 1)


@wrong(Reason.COST_DIFFERS, "JPY, not EUR")
def the_currency_is_another(world: World) -> Announced:
    return world.order(currency="JPY")


@wrong(Reason.COST_OVER_LIMIT, "limit 100000.00")
def it_costs_more_than_we_ever_approve(world: World) -> Announced:
    return world.order(plan=PLAN.model_copy(update={"labour_cost": 10_000_000}))


@wrong(Reason.SUPPLIER_NOT_ALLOWED, "SUP-COUSIN")
def the_supplier_is_not_on_the_list(world: World) -> Announced:
    supplier = PLAN.supplier.model_copy(update={"id": "SUP-COUSIN"})
    return world.order(plan=PLAN.model_copy(update={"supplier": supplier}))

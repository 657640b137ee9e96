"""The policy: small rules with names, each about one thing. All must pass; any may ask for a person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from ledger_service.domain import ids
from ledger_service.domain.profile import Agreement, points
from ledger_service.domain.result import Reason
from ledger_service.domain.units import amount, money
from validators.journal.memory import Memory
from validators.rules.case import Ask, Case, Refusal, Refused, Stated

CLOCK_SKEW = timedelta(minutes=2)
GIB = 1024**3


class Policy(BaseModel):
    """What an organisation demands. Money in minor units of the consortium's currency.

    `currency`: ISO 4217. `cost_limit`: dearer orders are refused. `person_above`: dearer orders
    wait for a person. `suppliers`: ids that are allowed, all if empty. `dataset_max_bytes`: what is
    fetched for one order, `kept_max_bytes`: what is kept of all. `not_proposed_minutes`: an approval is
    taken back after that. `person_completes`: a close-out is signed when a person says so.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$")
    cost_limit: int = Field(default=10_000_000, ge=0)
    person_above: int = Field(default=5_000_000, ge=0)
    suppliers: tuple[str, ...] = ()
    window_max_hours: int = Field(default=24 * 30, ge=1)
    episode_hours: int = Field(default=24, ge=0)
    dataset_max_bytes: int = Field(default=16 * GIB, ge=1)
    kept_max_bytes: int = Field(default=256 * GIB, ge=1)
    person_completes: bool = False
    remind_minutes: int = Field(default=30, ge=1)
    not_proposed_minutes: int = Field(default=30, ge=1)


@dataclass(frozen=True, slots=True)
class Pass:
    """The rule has nothing against it."""


PASS = Pass()
Ruling = Pass | Refusal | Ask
Rule = Callable[[Case, Policy, Memory], Ruling]
EarlyRule = Callable[[Stated, Policy, Memory], Ruling]


def score_is_reproduced(case: Case, _: Policy, __: Memory) -> Ruling:
    """Refuse a claim that the detector, run again here, does not bear out."""
    if case.agreement is Agreement.CONFLICT:
        return Refusal(
            Reason.SCORE_CONFLICT,
            f"claimed {points(case.claimed)}, recomputed {points(case.recomputed)}",
        )
    return PASS


def features_are_reproduced(case: Case, _: Policy, __: Memory) -> Ruling:
    """Refuse measurements that do not come from the bytes."""
    if case.wrong_features:
        return Refusal(Reason.SCORE_CONFLICT, f"other features: {', '.join(case.wrong_features)}")
    return PASS


def score_alarms(case: Case, _: Policy, __: Memory) -> Ruling:
    """Refuse where the detector does not alarm; at the threshold either side is right."""
    threshold = case.claim.threshold.value
    if case.recomputed <= threshold and case.agreement is not Agreement.BORDERLINE:
        text = f"{points(case.recomputed)}, threshold {points(threshold)}"
        return Refusal(Reason.BELOW_THRESHOLD, text)
    return PASS


def detector_is_live(case: Stated, _: Policy, __: Memory) -> Ruling:
    """Refuse what a revoked detector asks for."""
    return PASS if case.detector_live else Refusal(Reason.DETECTOR_UNFIT, "revoked or unknown")


def window_is_fresh(case: Stated, policy: Policy, _: Memory) -> Ruling:
    """Refuse old data, and data of the future."""
    end = case.claim.window.end
    if end > case.now + CLOCK_SKEW or end < case.now - timedelta(hours=policy.window_max_hours):
        return Refusal(Reason.WINDOW_STALE, f"the window ended {end:%Y-%m-%d %H:%M}")
    return PASS


def window_is_the_samples(case: Case, _: Policy, __: Memory) -> Ruling:
    """Refuse a window that is longer or shorter than what was measured."""
    claimed = case.claim.window.end - case.claim.window.start
    if claimed != case.measured:
        return Refusal(Reason.WINDOW_STALE, f"it is {claimed} long, the samples {case.measured}")
    return PASS


def cost_is_the_documents(case: Stated, policy: Policy, _: Memory) -> Ruling:
    """Refuse where content, document and the sum of its lines differ, or the currency is another."""
    document = case.document
    if not case.content.cost == document.cost.amount == document.sum:
        sums = (case.content.cost, document.cost.amount, document.sum)
        order, whole, lines = (amount(minor, document.cost.currency) for minor in sums)
        found = f"order {order}, document {whole}, lines {lines}"
        return Refusal(Reason.COST_DIFFERS, found)
    if document.cost.currency != policy.currency:
        return Refusal(Reason.COST_DIFFERS, f"{document.cost.currency}, not {policy.currency}")
    return PASS


def cost_is_within_limit(case: Stated, policy: Policy, _: Memory) -> Ruling:
    """Refuse what is dearer than the organisation ever approves."""
    if case.content.cost > policy.cost_limit:
        cost, limit = amount(case.content.cost, policy.currency), policy.cost_limit
        return Refusal(Reason.COST_OVER_LIMIT, f"{cost}, limit {money(limit, policy.currency):f}")
    return PASS


def supplier_is_allowed(case: Stated, policy: Policy, _: Memory) -> Ruling:
    """Refuse a supplier that is not on the list."""
    supplier = case.document.supplier.id
    if policy.suppliers and supplier not in policy.suppliers:
        return Refusal(Reason.SUPPLIER_NOT_ALLOWED, supplier)
    return PASS


def sequence_is_not_forked(case: Stated, _: Policy, memory: Memory) -> Ruling:
    """Refuse other bytes under a number that the device used; a missing number is a gap, not a fork."""
    claim = case.claim
    before = memory.statement_of(claim.device, claim.sequence)
    if before not in {None, case.content.evidence}:
        return Refusal(Reason.SEQUENCE_FORK, f"number {claim.sequence} was used before")
    last = memory.statement_of(claim.device, claim.sequence - 1)
    if last not in {None, claim.previous}:
        return Refusal(Reason.SEQUENCE_FORK, f"it follows another number {claim.sequence - 1}")
    return PASS


def dataset_is_new(case: Stated, _: Policy, memory: Memory) -> Ruling:
    """Refuse a dataset that came before under another statement."""
    before = memory.evidence_of_dataset(case.content.dataset_root)
    if before not in {None, case.content.evidence}:
        return Refusal(Reason.DATASET_REPEATED, "under another statement")
    return PASS


def episode_is_new(case: Stated, policy: Policy, memory: Memory) -> Ruling:
    """Refuse a second order for the same asset, detector and failure mode within the hours."""
    near = timedelta(hours=policy.episode_hours)
    for evidence, end in memory.approved_episodes(episode_of(case)):
        if evidence != case.content.evidence and abs(case.claim.window.end - end) < near:
            return Refusal(Reason.EPISODE_REPEATED, f"approved for the window up to {end:%F %T}")
    return PASS


def diagnosis_is_shared(case: Case, _: Policy, __: Memory) -> Ruling:
    """Ask where our own run points to another failure mode: it decides the job plan."""
    if case.diagnosis != case.claim.failure_mode:
        return Ask(f"claimed {case.claim.failure_mode}, our own run points to {case.diagnosis}")
    return PASS


def history_is_known(case: Stated, policy: Policy, memory: Memory) -> Ruling:
    """Ask while we do not know what an approval of ours was for: this may be the same again.

    Data that are newer by a whole episode than our recalling of it are not.
    """
    near = timedelta(hours=policy.episode_hours) + CLOCK_SKEW
    recalled = memory.recalled_unnamed(ids.asset_id(case.claim.asset))
    if any(case.claim.window.end < at + near for at in recalled):
        return Ask("we approved an order of this asset whose statement the service does not have")
    return PASS


def person_decides_above(case: Stated, policy: Policy, _: Memory) -> Ruling:
    """Ask a person about dear orders."""
    if case.content.cost > policy.person_above:
        cost, limit = amount(case.content.cost, policy.currency), policy.person_above
        return Ask(f"it costs {cost}, more than {money(limit, policy.currency):f}")
    return PASS


RULES: Sequence[Rule] = (
    detector_is_live,
    sequence_is_not_forked,
    dataset_is_new,
    score_is_reproduced,
    features_are_reproduced,
    score_alarms,
    window_is_fresh,
    window_is_the_samples,
    cost_is_the_documents,
    cost_is_within_limit,
    supplier_is_allowed,
    episode_is_new,
    diagnosis_is_shared,
    history_is_known,
    person_decides_above,
)


#: Those that need no byte of the dataset: what they refuse is not fetched.
EARLY: Sequence[EarlyRule] = (
    detector_is_live,
    sequence_is_not_forked,
    dataset_is_new,
    window_is_fresh,
    cost_is_the_documents,
    cost_is_within_limit,
    supplier_is_allowed,
    episode_is_new,
)


def refuse_early(case: Stated, policy: Policy, memory: Memory) -> None:
    """Raise the first refusal of the early rules."""
    for rule in EARLY:
        ruling = rule(case, policy, memory)
        if isinstance(ruling, Refusal):
            raise Refused(ruling.reason, ruling.text)


def judge(case: Case, policy: Policy, memory: Memory, rules: Sequence[Rule] = RULES) -> Ruling:
    """Return the first refusal, else the first wish for a person, else PASS: approve."""
    rulings = [rule(case, policy, memory) for rule in rules]
    for kind in (Refusal, Ask):
        for ruling in rulings:
            if isinstance(ruling, kind):
                return ruling
    return PASS


def has_gap(case: Case, memory: Memory) -> bool:
    """Say whether the device's statement before this one never came here. Accepted, and flagged."""
    claim = case.claim
    return claim.sequence > 1 and not memory.saw(claim.device, claim.sequence - 1)


def episode_of(case: Stated) -> tuple[str, str, str]:
    """Return what makes two orders one episode: asset, detector, failure mode."""
    return case.claim.asset, case.claim.detector.hex(), case.claim.failure_mode

"""Who belongs, in memory: organisations, asset versions, detectors, devices; and how emergencies weigh."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ledger_service.domain import errors, facts, ids
from ledger_service.domain.lifecycle import rejected
from ledger_service.domain.order import HORIZON_SECONDS

LIVE, ENDED, UNKNOWN = 1, 2, 0
VERDICT, GOVERNANCE, BUILDER = 1, 2, 4
#: The contract's enum, by number.
WHY = (
    *("None", "State", "Caller", "Seat", "Voted", "Late", "TooFar", "Version", "Detector", "Held"),
    *("Attempt", "Cap", "Count", "Early", "Outcome", "Member", "Newest"),
)


def reject(why: str, found: int, expected: int) -> errors.CallReverted:
    """Return the error that a call which does not apply ends with."""
    return rejected(why, found, expected)


@dataclass(frozen=True, slots=True)
class Terms:
    """An asset version with its terms. Period in seconds, cap in minor units."""

    version: facts.Version
    ratify_period: int
    emergency_cap: int
    emergency_max: int

    @property
    def full(self) -> int:
        """Return one bit per seat."""
        return (1 << len(self.version.seats)) - 1


@dataclass
class Registry:
    """Who belongs. It changes at once, and a fork does not take it back."""

    organisations: dict[int, facts.Organisation] = field(default_factory=dict)
    members: set[int] = field(default_factory=set)
    builders: set[ids.Address] = field(default_factory=set)
    versions: dict[ids.VersionId, Terms] = field(default_factory=dict)
    current: dict[ids.AssetId, ids.VersionId] = field(default_factory=dict)
    detectors: dict[ids.DetectorId, bool] = field(default_factory=dict)
    devices: dict[tuple[ids.AssetId, ids.DeviceId], bool] = field(default_factory=dict)

    def verdict_of(self, key: ids.Address) -> int:
        """Return the member whose verdict key this is, 0 for none."""
        return next((n for n in self.members if self.organisations[n].verdict == key), 0)

    def governance_of(self, key: ids.Address) -> int:
        """Return the member whose governance key this is, 0 for none."""
        return next((n for n in self.members if self.organisations[n].governance == key), 0)

    def organisation_of(self, key: ids.Address) -> int:
        """Return whose key this is or was, in whichever role; 0 for none."""
        found = (n for n, o in self.organisations.items() if key in {o.verdict, o.governance})
        return next(found, 0)

    def role_of(self, key: ids.Address) -> int:
        """Return the number of the key's role: none, verdict, governance, builder."""
        if key in self.builders:
            return BUILDER
        return VERDICT if self.verdict_of(key) else GOVERNANCE if self.governance_of(key) else 0

    def present(self, terms: Terms) -> int:
        """Return the seats whose organisation still belongs, one bit each."""
        seats = enumerate(terms.version.seats)
        return sum(1 << seat for seat, number in seats if number in self.members)

    def host_of(self, version: ids.VersionId) -> int:
        """Return who closes orders of a version."""
        found = self.versions[version].version
        if found.host in self.members:
            return found.host
        return self.versions[self.current[found.asset]].version.host


@dataclass(frozen=True, slots=True)
class Emergencies:
    """How the emergencies of a version weigh on its cap."""

    open_cost: int = 0
    open: int = 0
    contested_cost: int = 0
    contested: int = 0
    last_contest: int = 0

    def at(self, now: int) -> Emergencies:
        """Return what still weighs."""
        if now < self.last_contest + HORIZON_SECONDS:
            return self
        return replace(self, contested_cost=0, contested=0)

    def raised(self, weight: int) -> Emergencies:
        """Return it with one more open."""
        return replace(self, open_cost=self.open_cost + weight, open=self.open + 1)

    def settled(self, weight: int) -> Emergencies:
        """Return it with one less open."""
        return replace(self, open_cost=self.open_cost - weight, open=self.open - 1)

    def contest(self, weight: int, now: int) -> Emergencies:
        """Return it with one moved from open to contested."""
        return replace(
            self.settled(weight),
            contested_cost=self.contested_cost + weight,
            contested=self.contested + 1,
            last_contest=now,
        )

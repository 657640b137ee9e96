"""Fresh keys for a demo plant: keystores with random passwords in files of their own."""

from __future__ import annotations

from ledger_service.chain.keys import make_keystore
from ledger_service.demo.site import PARTIES, Site
from ledger_service.domain import ids

ROLES = ("verdict", "governance", "recovery")
BUILDER = ("service", "builder")
DEPLOYER = ("consortium", "deployer")


def make_keys(site: Site) -> dict[tuple[str, str], ids.Address]:
    """Make all keystores of the plant; return (owner, role) -> address."""
    owners = [BUILDER, DEPLOYER, *((party.name, role) for party in PARTIES for role in ROLES)]
    return {(owner, role): make_keystore(site.keystore(owner, role)) for owner, role in owners}

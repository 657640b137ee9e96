"""Who may seal the next block, counted from the votes in the headers before it.

Clique (EIP-225, geth's `snapshot.apply`) and QBFT with validators in the header (Besu's
`VoteTally`): more than half of those in force decide, from the next block on; at each epoch open
votes are forgotten. Under Clique nobody seals twice among N/2+1 blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ledger_service.domain import errors, ids, seals
from ledger_service.domain.headers import Header
from ledger_service.domain.seals import Vote

QBFT, CLIQUE = "qbft", "clique"
#: Of geth, Besu and GoQuorum, unless their genesis says otherwise.
EPOCH = 30_000


@dataclass(frozen=True, slots=True)
class Cast:
    """A vote that still counts."""

    voter: ids.Address
    vote: Vote


@dataclass(frozen=True, slots=True)
class Sealers:
    """Who may seal the block above a certain one. `recent`: (height, who) of the last seals, Clique."""

    members: frozenset[ids.Address]
    votes: tuple[Cast, ...] = ()
    recent: tuple[tuple[int, ids.Address], ...] = ()

    @property
    def depth(self) -> int:
        """Return how many blocks above one make it final where each has one seal: N/2+1 signers."""
        return len(self.members) // 2 + 1

    def after(self, number: int, voter: ids.Address, vote: Vote | None, epoch: int) -> Sealers:
        """Return who may seal above block `number`, in which `voter` voted so."""
        if number % epoch == 0:
            return replace(self, votes=())
        if vote is None:
            return self
        kept = [it for it in self.votes if (it.voter, it.vote.candidate) != (voter, vote.candidate)]
        if vote.add is (vote.candidate in self.members):  # it is so already
            return replace(self, votes=tuple(kept))
        kept.append(Cast(voter, vote))
        if 2 * sum(it.vote == vote for it in kept) <= len(self.members):
            return replace(self, votes=tuple(kept))
        gone = {vote.candidate} if not vote.add else set()
        left = [it for it in kept if it.vote.candidate != vote.candidate and it.voter not in gone]
        members = self.members | {vote.candidate} if vote.add else self.members - gone
        return replace(self, members=members, votes=tuple(left))


def of_epoch(kind: str, header: Header) -> Sealers:
    """Return who may seal above block 0 or the block of an epoch, which list them. Raise BadProof."""
    if kind == CLIQUE:
        return Sealers(frozenset(seals.clique_signers(header)))
    listed = seals.qbft_extra(header).validators
    return Sealers(frozenset(ids.Address(member) for member in listed))


def check(kind: str, sealers: Sealers, header: Header, epoch: int = EPOCH) -> Sealers:
    """Check a block's seals against who may seal it; return who may seal the next. Raise BadProof."""
    return _CHECKS[kind](sealers, header, epoch)


def _clique(sealers: Sealers, header: Header, epoch: int) -> Sealers:
    signer, number = seals.clique_signer(header), header.number
    if signer not in sealers.members:
        raise errors.BadProof("Sealed from outside the signers.", found=signer.hex())
    recent = _since(sealers.recent, number - sealers.depth)
    if any(who == signer for _, who in recent):
        raise errors.BadProof("Its signer sealed one of the blocks just below.", found=signer.hex())
    # What an epoch's block lists is begun from later: it has to be what the votes made.
    if number % epoch == 0 and set(seals.clique_signers(header)) != sealers.members:
        raise errors.BadProof("It lists other signers than the votes made.", found=number)
    vote = None if number % epoch == 0 else seals.clique_vote(header)
    later = sealers.after(number, signer, vote, epoch)
    kept = (*recent, (number, signer))
    if len(later.members) < len(sealers.members):
        kept = _since(kept, number - later.depth)
    return replace(later, recent=kept)


def _since(
    recent: tuple[tuple[int, ids.Address], ...], number: int
) -> tuple[tuple[int, ids.Address], ...]:
    return tuple(pair for pair in recent if pair[0] > number)


def _qbft(sealers: Sealers, header: Header, epoch: int) -> Sealers:
    seals.check_qbft(header, sealers.members)
    extra = seals.qbft_extra(header)
    if set(extra.validators) != sealers.members:
        raise errors.BadProof("It lists other validators than the votes made.", found=header.number)
    return sealers.after(header.number, ids.Address(header.miner), extra.vote, epoch)


_CHECKS: dict[str, Callable[[Sealers, Header, int], Sealers]] = {QBFT: _qbft, CLIQUE: _clique}

"""What must hold at every step. Each look is at what changed: a commit, a block, an acceptance, a broadcast."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ledger_service.domain import ids, lifecycle
from ledger_service.domain.calls import Approve
from ledger_service.domain.facts import Approved, Block, Fact, Moved
from ledger_service.domain.lifecycle import MAY_TRY_AGAIN, Status
from ledger_service.domain.order import order_id
from ledger_service.domain.records import Delivery, DeliveryState, Order, Outcome, Outgoing, TxState
from ledger_service.services.deliveries import ROUTES
from ledger_service.services.seal import file_key
from ledger_service.testing.signer import decode
from ledger_service.testing.store import State

if TYPE_CHECKING:
    from tests.simulation.world import World

INVARIANTS = {
    "lost": "nothing that was accepted is lost, its bytes least of all",
    "one order": "one live order per evidence",
    "one effect": "one effect per fact and destination, and none without its fact",
    "sequence": "an order's facts reach a destination in chain order, none left out",
    "cursor": "the cursor is never ahead of the facts and deliveries, nor of what is final",
    "final": "final states never move, and only final blocks settle anything",
    "unchecked": "no approval by an organisation that did not run its detector on the bytes, and check just this order",
    "episode": "no organisation approves two orders of one episode",
    "unstored": "nothing is broadcast that is not stored",
    "nonce": "no nonce is used for two things, by the service or by an agent",
    "fence": "who lost a lease settles nothing",
    "bug": "no verb ends with an exception that is not one of ours",
    "liveness": "when faults end, all that was accepted reaches its end, everybody is told, and no agent has anything in hand",
}


def _reach() -> dict[Status, frozenset[Status]]:
    """Return what each state leads to, by one move or by several: a commit may hold several."""
    found = dict(lifecycle.MOVES)
    for _ in Status:
        found = {
            status: frozenset(after.union(*(found[it] for it in after)))
            for status, after in found.items()
        }
    return found


REACH = _reach()


class Check:
    """The invariants of one run."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ran: dict[int, set[bytes]] = defaultdict(set)
        self._passed: dict[int, set[ids.OrderId]] = defaultdict(set)
        self._written: set[ids.OrderId] = set()
        self._stored: set[bytes] = set()
        self._signed: dict[int, dict[bytes, dict[str, Any]]] = defaultdict(dict)
        self._calls: dict[tuple[str, int], dict[str, Any]] = {}
        self._failed: dict[ids.TxHash, str] = {}
        self._heard: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._said: dict[tuple[str, str, str], str] = {}
        #: Approvals whose documents went with a folder.
        self.forgiven: set[tuple[int, ids.ResultDigest]] = set()
        self.highest = 0

    @property
    def final(self) -> int:
        """Return the highest block that ever was final."""
        return self.highest - self._world.ledger.finality_depth

    def wrong(self, invariant: str, text: str) -> None:
        """Note a violation; the run ends."""
        assert invariant in INVARIANTS
        self._world.violate(invariant, text)

    # ---- what is shown by processes

    def ran(self, organisation: int, data: bytes) -> None:
        """Note that an organisation ran its detector on these bytes."""
        self._ran[organisation].add(data)

    def passed(self, organisation: int, order: ids.OrderId) -> None:
        """Note that an organisation's checks and rules have nothing against an order."""
        self._passed[organisation].add(order)

    def broadcast_by_service(self, raw: bytes) -> None:
        """Look at what leaves the service."""
        if raw not in self._stored:
            self.wrong("unstored", f"nonce {decode(raw).nonce} of the service")

    def forget(self, organisation: int, key: ids.Address) -> None:
        """Note that a folder is lost: what its key signed and no node has may be signed otherwise."""
        for place in [place for place in self._calls if place[0] == key.hex()]:
            del self._calls[place]
        for raw in self._signed[organisation]:
            call = decode(raw).call
            if isinstance(call, Approve):
                self.forgiven.update((organisation, it) for it in call.results)

    def signed(self, organisation: int, entry: dict[str, Any]) -> None:
        """Look at what an agent signed, now that it is durable: a nonce says one thing, or nothing."""
        self._signed[organisation][bytes.fromhex(entry["raw"])] = entry
        if entry.get("void"):
            return
        call = {"purpose": entry["purpose"], **entry["call"]}
        if self._calls.setdefault((entry["signer"], entry["nonce"]), call) != call:
            self.wrong("nonce", f"{entry['nonce']} of organisation {organisation} says two things")

    def broadcast_by_agent(self, organisation: int, raw: bytes) -> None:
        """Look at what leaves an agent."""
        if raw not in self._signed[organisation]:
            self.wrong("unstored", f"nonce {decode(raw).nonce} of organisation {organisation}")
        call = decode(raw).call
        if isinstance(call, Approve):
            for content, seat in zip(call.contents, call.seats, strict=True):
                self._says_yes(organisation, order_id(content, self._world.ledger.orders), seat)

    def _says_yes(self, organisation: int, order: ids.OrderId, seat: int) -> None:
        """Demand that an approval is of an order that is just so, checked just so, in the own seat."""
        name = f"organisation {organisation}, order {order.hex()[:8]}"
        if order not in self._passed[organisation]:
            self.wrong("unchecked", f"{name} did not pass its checks")
        if order not in self._written:
            self.wrong("unchecked", f"{name} is none that the service ever made")
        if seat != organisation - 1:
            self.wrong("unchecked", f"{name} in seat {seat}")

    def fenced(self, outcomes: Sequence[Outcome]) -> None:
        """Look at who settles deliveries."""
        leases = self._world.watched.present.outbox.leases
        for item in outcomes:
            lease = leases.get(item.dedup)
            if lease is None or lease[0] != item.owner:
                self.wrong("fence", f"{item.dedup} by {item.owner[-6:]}, leased to {lease}")

    # ---- the database, commit by commit

    def commit(self, before: State, after: State) -> None:
        """Look at what a commit changed."""
        self._evidence(before, after)
        self._orders(before, after)
        self._outgoing(before, after)
        self._outbox(before, after)
        if before.cursor != after.cursor:
            self._cursor(before, after)

    def _evidence(self, before: State, after: State) -> None:
        if before.evidence.keys() - after.evidence.keys():
            self.wrong("lost", "evidence was deleted")
        if len(before.evidence) == len(after.evidence):
            return
        for name in after.evidence.keys() - before.evidence.keys():
            self.bytes_of(name)

    def bytes_of(self, evidence: ids.EvidenceId) -> None:
        """Demand that the bytes of evidence are there."""
        objects = self._world.objects.objects
        for entry in self._world.known[evidence].claim.entries:
            found = objects.get(file_key(entry))
            if found is None or len(found) != entry.size:
                self.wrong("lost", f"no bytes of {entry.path} of evidence {evidence.hex()[:8]}")

    def _orders(self, before: State, after: State) -> None:
        for name, order in after.orders.items():
            old = before.orders.get(name)
            if old is order:
                continue
            if old is None:
                self._written.add(name)
                self._new_order(order, after)
            elif (
                old.status is not order.status
                and not self._world.shape.deep
                and order.status not in REACH[old.status]
            ):
                self.wrong("final", f"{name.hex()[:8]}: {old.status.title} to {order.status.title}")

    def _new_order(self, order: Order, after: State) -> None:
        for other in after.orders.values():
            if other.content.evidence != order.content.evidence or other is order:
                continue
            if other.id not in after.void and other.status not in MAY_TRY_AGAIN:
                text = (
                    f"{other.id.hex()[:8]} is {other.status.title}, beside it {order.id.hex()[:8]}"
                )
                self.wrong("one order", text)

    def _outgoing(self, before: State, after: State) -> None:
        rows, old = after.outgoing.rows, before.outgoing.rows
        for key, row in rows.items():
            present = old.get(key)
            if present is row:
                continue
            if row.raw not in self._stored:
                self._stored.add(row.raw)
                places = [(it.signer, it.nonce) for it in rows.values()]
                if places.count((row.signer, row.nonce)) > 1:
                    self.wrong("nonce", f"{row.nonce} is taken twice: {key}")
            if present is not None and present.state is not row.state:
                self._settled(row)

    def _settled(self, row: Outgoing) -> None:
        hashes = [row.hash, *(item.hash for item in row.earlier)]
        if row.state is TxState.FAILED:
            self._failed |= dict.fromkeys(hashes, row.key)
        if row.state is TxState.STORED:
            for name in hashes:
                self._failed.pop(name, None)
        if row.state is not TxState.MINED or self._world.shape.deep:
            return
        blocks = [
            mined.block.number
            for mined in self._world.ledger._chain
            if any(name in mined.receipts for name in hashes)
        ]
        if not blocks or blocks[0] > self.final:
            self.wrong("final", f"{row.key[:20]} is settled by block {blocks}, final {self.final}")

    def _outbox(self, before: State, after: State) -> None:
        for dedup, row in after.outbox.rows.items():
            old = before.outbox.rows.get(dedup)
            if old is row:
                continue
            if row.state is DeliveryState.DEAD and dedup not in self._world.given_up:
                self.wrong("lost", f"{dedup} is dead, and no person said so")
            if row.state is not DeliveryState.DONE:
                continue
            if dedup not in self._world.destinations[row.destination].delivered:
                self.wrong("lost", f"{dedup} is done and was never delivered")

    def _cursor(self, before: State, after: State) -> None:
        present, last = after.cursor[-1], before.cursor[-1].number if before.cursor else -1
        chain = self._world.ledger._chain
        if present.number > self.final and not self._world.shape.deep:
            self.wrong("cursor", f"at {present.number}, final is {self.final}")
        if present.number <= last:
            if any(fact.place.block > present.number for fact in after.facts.values()):
                self.wrong("cursor", f"facts above {present.number} were kept in a rewind")
            return
        if present.number >= len(chain) or chain[present.number].block.hash != present.hash:
            return  # rewritten meanwhile: it will be rewound
        for mined in chain[last + 1 : present.number + 1]:
            for fact in mined.facts:
                self._taken(fact, mined.block, after)

    def _taken(self, fact: Fact, block: Block, after: State) -> None:
        if fact.place.id not in after.facts:
            self.wrong("cursor", f"past block {block.number}, its fact {fact.place.id} is missing")
        event = fact.event
        if not isinstance(event, Moved) or event.order not in after.orders:
            return
        wanted = [n for n in self._world.shape.destinations if event.status in ROUTES[n]]
        rows = after.outbox.rows.values()
        told = {row.destination for row in rows if row.dedup.startswith(fact.place.id)}
        if missing := set(wanted) - told:
            self.wrong("cursor", f"past block {block.number}, no delivery to {sorted(missing)}")

    # ---- the chain, block by block

    def mined(self) -> None:
        """Look at the newest block."""
        mined = self._world.ledger._chain[-1]
        self.highest = max(self.highest, mined.block.number)
        for transaction in mined.transactions:
            if isinstance(transaction.call, Approve) and mined.receipts[transaction.hash].succeeded:
                organisation = self._world.ledger.registry.verdict_of(transaction.signer)
                for content in transaction.call.contents:
                    self._approved(organisation, content.evidence)
                self._episodes(organisation)
            failed = self._failed.get(transaction.hash)
            effect = any(fact.place.transaction == transaction.hash for fact in mined.facts)
            if failed is not None and effect and not self._world.shape.deep:
                self.wrong("final", f"{failed[:20]} was given up, and has its effect")

    def _approved(self, organisation: int, evidence: ids.EvidenceId) -> None:
        packed = self._world.known[evidence]
        if packed.files[packed.claim.input_path] not in self._ran[organisation]:
            self.wrong("unchecked", f"organisation {organisation}, evidence {evidence.hex()[:8]}")
        elif not packed.true:
            self.wrong("unchecked", f"organisation {organisation} approved a score that is not so")

    def _episodes(self, organisation: int) -> None:
        """Demand that the approvals that stand are of one evidence an asset: all windows are the same here."""
        if not self._world.shape.episodes or self._world.shape.deep:
            return
        words = self._world.ledger._chain[-1].book.words
        standing: dict[str, set[ids.EvidenceId]] = defaultdict(set)
        for fact in (fact for mined in self._world.ledger._chain for fact in mined.facts):
            event = fact.event
            if not isinstance(event, Approved) or event.organisation != organisation:
                continue
            order = self._world.watched.present.orders.get(event.order)
            word = words.get(event.order)
            if order is None or word is None or word.status in MAY_TRY_AGAIN:
                continue
            if word.approved >> event.seat & 1:
                standing[order.asset].add(order.content.evidence)
        for asset, found in standing.items():
            if len(found) > 1:
                names = sorted(it.hex()[:8] for it in found)
                self.wrong("episode", f"organisation {organisation} approved {names} of {asset}")

    # ---- the destinations, acceptance by acceptance

    def accepted(self, name: str, delivery: Delivery) -> None:
        """Look at something new at a destination."""
        place = delivery.dedup.split(":")[0].split("~")[0]
        if self._world.shape.deep:
            return
        fact = (name, delivery.key, delivery.kind)
        if fact in self._said:
            self.wrong("one effect", f"{name} got {delivery.kind} of {delivery.key[:8]} twice")
        self._said[fact] = delivery.dedup
        heard = self._heard[name, delivery.key]
        heard.append(place)
        told = self.moves(delivery.key, name)
        if place not in told:
            self.wrong("one effect", f"{name} got {delivery.kind} at {place}, which is not final")
        elif (name, delivery.key) in self._world.unordered:
            return  # a person took one out of the middle
        elif heard != told[: len(heard)]:
            self.wrong("sequence", f"{name} heard {heard} of {delivery.key[:8]}, the chain {told}")

    def moves(self, order: str, name: str) -> list[str]:
        """Return the places of an order's final facts that a destination is told of."""
        return [
            fact.place.id
            for mined in self._world.ledger._chain[: self.final + 1]
            for fact in mined.facts
            if isinstance(fact.event, Moved)
            and fact.event.order.hex() == order
            and fact.event.status in ROUTES[name]
        ]

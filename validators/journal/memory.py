"""What the agent remembers, built from its journal: verdicts, transactions, sequences, episodes.

Kinds of entries, each with `kind`: `seen` (a statement that was checked), `open` (an order learned
of and not judged yet; `told`: when, if only the service told of it), `forgotten` (one that was told
of and never proposed), `asked` (waits for a person), `reminded`, `declined` (a person's decision
that could not be signed), `late` (one that cannot be approved in time, or could not), `verdict` (an
approval without a `signed` is decided: it waits for its batch; `told`: only the service had told of it), `said` (on chain by an earlier one), `signed` (one order, or `orders`;
`void`: its nonce is used for nothing), `unsaid` (a signature came to nothing, its orders are decided
again; `alone`: not in a batch), `copied` (the bytes of a recalled approval are here again, or gone for good), `named` (its statement is here too), `reopened` (decided and not signed at a start: judged anew; `told` as of `open`), `stuck`
(no node takes it), `mined` (`mined`: which of a nonce's transactions), `handed` (the result document is with the service since `at`, or for `why` nobody can want it), `proposed`, `ended` (an approved order that came to nothing), `closed` (an order that needs
nothing more from us), `work` (a close-out to sign), `reported` (its report is here), `confirmed`
(a person says to sign it), `dropped` (one that cannot be signed), `key` (the
whole chain was read with it), `unaccounted` (a former key approved, and not we), `accounted` (that
cannot be refused any more), `feed`, `block` (cursors), `together` (entries true only all at once).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ledger_service.domain import ids

MOST_LATE = 1000
Episode = tuple[str, str, str]
Approved = tuple[ids.EvidenceId, datetime]


@dataclass(frozen=True, slots=True)
class SignedVerdict:
    """A transaction of ours. `purpose`: approve, refuse, unapprove, complete, use up. `call`: its JSON form.

    `orders`: all of a batch, the first of them stands for it. `void`: it uses its nonce and says nothing.
    `before`: what was signed with the same nonce before, each with its `void`; it may be mined yet.
    """

    purpose: str
    orders: tuple[ids.OrderId, ...]
    signer: ids.Address
    nonce: int
    hash: ids.TxHash
    raw: bytes
    call: dict[str, Any]
    at: str
    void: bool = False
    before: tuple[tuple[ids.TxHash, bool], ...] = ()

    @property
    def order(self) -> ids.OrderId:
        """Return the first order."""
        return self.orders[0]

    @property
    def ever(self) -> tuple[tuple[ids.TxHash, bool], ...]:
        """Return all that was signed with this nonce, newest first, each with its `void`."""
        return ((self.hash, self.void), *self.before)


class Memory:
    """State from entries; `note` takes one more."""

    def __init__(self, entries: Iterable[dict[str, Any]] = ()) -> None:
        self.verdicts: dict[ids.OrderId, dict[str, Any]] = {}
        self.pending: dict[ids.OrderId, dict[str, Any]] = {}
        self.open: dict[ids.OrderId, dict[str, Any]] = {}
        self.closed: dict[ids.OrderId, str] = {}
        self.unmined: dict[tuple[str, ids.OrderId], SignedVerdict] = {}
        self.purposes: set[tuple[str, ids.OrderId]] = set()
        self.decided: dict[ids.OrderId, dict[str, Any]] = {}
        self.alone: set[ids.OrderId] = set()
        self.copies: dict[ids.OrderId, dict[str, Any]] = {}
        self.unnamed: dict[ids.OrderId, dict[str, Any]] = {}
        self.voids: Counter[tuple[str, ids.OrderId]] = Counter()
        self.late: dict[ids.OrderId, dict[str, Any]] = {}
        self.results: dict[ids.OrderId, bytes] = {}
        self.unwanted: set[ids.OrderId] = set()  #: results that nobody took: no such order anywhere
        self._handed: dict[ids.OrderId, datetime] = {}
        self.unproposed: dict[ids.OrderId, dict[str, Any]] = {}
        self.key: ids.Address | None = None
        self.unaccounted: dict[ids.OrderId, dict[str, Any]] = {}
        self.feed = 0
        self.feed_line = ""
        self.block: int | None = None
        self.failures: list[dict[str, Any]] = []
        self.stuck: dict[tuple[str, ids.OrderId], dict[str, Any]] = {}
        self._numbers: dict[tuple[ids.DeviceId, int], ids.EvidenceId] = {}
        self._seen: set[tuple[ids.DeviceId, int]] = set()
        self._datasets: dict[ids.DatasetRoot, ids.EvidenceId] = {}
        self.work: dict[ids.OrderId, dict[str, Any]] = {}
        self._nonces: dict[ids.Address, int] = {}
        self._gone: set[ids.OrderId] = set()
        self._episodes: dict[Episode, dict[ids.OrderId, Approved]] = defaultdict(dict)
        for entry in entries:
            self.note(entry)

    def note(self, entry: dict[str, Any]) -> None:
        """Take an entry in; unknown kinds are of later versions and ignored."""
        handler = getattr(self, f"_note_{entry.get('kind')}", None)
        if handler is not None:
            handler(entry)

    def next_nonce(self, signer: ids.Address) -> int:
        """Return the nonce behind the last one that a key of ours used."""
        return self._nonces.get(signer, 0)

    def statement_of(self, device: ids.DeviceId, sequence: int) -> ids.EvidenceId | None:
        """Return the evidence that a device's number is of: it came, or was named, before any other."""
        return self._numbers.get((device, sequence))

    def saw(self, device: ids.DeviceId, sequence: int) -> bool:
        """Say whether the statement of a number itself was here."""
        return (device, sequence) in self._seen

    def evidence_of_dataset(self, root: ids.DatasetRoot) -> ids.EvidenceId | None:
        """Return the evidence that a dataset came under first."""
        return self._datasets.get(root)

    def approved_episodes(self, episode: Episode) -> Sequence[Approved]:
        """Return the evidence approved for an episode, each with the end of its window."""
        return tuple(self._episodes.get(episode, {}).values())

    def recalled_unnamed(self, asset: ids.AssetId) -> Sequence[datetime]:
        """Return when each approval of an asset was recalled whose statement could not be had yet."""
        return tuple(
            datetime.fromisoformat(entry["at"])
            for entry in self.unnamed.values()
            if entry.get("assetId", asset.hex()) == asset.hex()
        )

    def approved(self, order: ids.OrderId) -> bool:
        """Say whether we approved an order, and that still counts for its episode."""
        entry = self.verdicts.get(order, {})
        return entry.get("verdict") == "approve" and order not in self._gone

    def waits_for(self, evidence: ids.EvidenceId) -> set[ids.OrderId]:
        """Return the orders of this evidence that we approved and saw no end of, or asked a person of."""
        name = evidence.hex()
        found = {order for order, it in self.unproposed.items() if it["evidence"] == name}
        asked = self.pending.items()
        return found | {order for order, it in asked if it["content"]["evidence"] == name}

    def to_complete(self) -> dict[ids.OrderId, dict[str, Any]]:
        """Return the close-outs whose report is here and that are not signed: a person decides."""
        found = self.work.items()
        return {order: it for order, it in found if "report" in it and "confirmed" not in it}

    def told(self) -> int:
        """Count the open orders that only the service told of."""
        return sum(1 for entry in self.open.values() if "told" in entry)

    def known(self, order: ids.OrderId) -> bool:
        """Say whether there is nothing left to consider about an order."""
        return order in self.verdicts or order in self.pending or order in self.closed

    def _note_together(self, entry: dict[str, Any]) -> None:
        for each in entry["entries"]:
            self.note(each)

    def _note_seen(self, entry: dict[str, Any]) -> None:
        evidence = ids.EvidenceId(bytes.fromhex(entry["evidence"]))
        self._datasets.setdefault(ids.DatasetRoot(bytes.fromhex(entry["dataset"])), evidence)
        if "device" not in entry:
            return
        device, sequence = ids.DeviceId(bytes.fromhex(entry["device"])), entry["sequence"]
        if self._numbers.setdefault((device, sequence), evidence) == evidence:
            self._seen.add((device, sequence))
        if entry["previous"]:
            previous = ids.EvidenceId(bytes.fromhex(entry["previous"]))
            self._numbers.setdefault((device, sequence - 1), previous)

    def _note_open(self, entry: dict[str, Any]) -> None:
        self.open[_order(entry)] = entry

    def _note_forgotten(self, entry: dict[str, Any]) -> None:
        self.open.pop(_order(entry), None)

    def _note_asked(self, entry: dict[str, Any]) -> None:
        self.pending[_order(entry)] = entry
        self.open.pop(_order(entry), None)

    def _note_reminded(self, entry: dict[str, Any]) -> None:
        self._add_to_pending(entry, {"reminded": entry["at"]})

    def _note_declined(self, entry: dict[str, Any]) -> None:
        self._add_to_pending(entry, {"declined": entry["why"]})

    def _add_to_pending(self, entry: dict[str, Any], fields: dict[str, Any]) -> None:
        order = _order(entry)
        if order in self.pending:
            self.pending[order] = {**self.pending[order], **fields}

    def _note_verdict(self, entry: dict[str, Any]) -> None:
        order = _order(entry)
        self.verdicts[order] = entry
        self.pending.pop(order, None)
        self.open.pop(order, None)
        self.late.pop(order, None)
        if entry["verdict"] != "approve":
            return
        self.unproposed[order] = entry
        if "result" in entry:
            self.results[order] = entry["result"].encode()
            self.decided[order] = entry
        else:  # the chain reminded us of it, and the bytes may have gone with the journal
            self.copies[order] = entry
        if "episode" in entry:
            self._add_episode(order, entry)
        else:
            self.unnamed[order] = entry

    def _add_episode(self, order: ids.OrderId, entry: dict[str, Any]) -> None:
        asset, detector, mode = entry["episode"]
        end = datetime.fromisoformat(entry["windowEnd"])
        evidence = ids.EvidenceId(bytes.fromhex(entry["evidence"]))
        self._episodes[asset, detector, mode][order] = (evidence, end)

    def _note_named(self, entry: dict[str, Any]) -> None:
        order = _order(entry)
        if self.unnamed.pop(order, None) is not None:
            more = {name: entry[name] for name in ("episode", "windowEnd")}
            self.verdicts[order] = {**self.verdicts[order], **more}
            self._add_episode(order, self.verdicts[order])

    def _note_signed(self, entry: dict[str, Any]) -> None:
        signed = load_signed(entry)
        key = signed.purpose, signed.order
        earlier = self.unmined.get(key)
        self.stuck.pop(key, None)
        if earlier is not None and (earlier.signer, earlier.nonce) == (signed.signer, signed.nonce):
            signed = replace(signed, before=earlier.ever)
        self.unmined[key] = signed
        self.voids.update((signed.purpose, order) for order in signed.orders if signed.void)
        self.purposes.update((signed.purpose, order) for order in signed.orders)
        self._nonces[signed.signer] = max(self.next_nonce(signed.signer), signed.nonce + 1)
        if signed.purpose == "approve":
            self._no_longer_decided(*signed.orders)
        if signed.purpose == "unapprove":
            self.unaccounted.pop(signed.order, None)
            self._forget_episode(signed.order)
        if signed.purpose == "complete":
            self.work.pop(signed.order, None)

    def _no_longer_decided(self, *orders: ids.OrderId) -> None:
        for order in orders:
            self.decided.pop(order, None)
            self.alone.discard(order)

    def _note_unsaid(self, entry: dict[str, Any]) -> None:
        orders = [ids.OrderId(bytes.fromhex(it)) for it in entry["orders"]]
        for order in orders:
            self.purposes.discard(("approve", order))
            if order in self.verdicts and order not in self._gone:
                self.decided[order] = {**self.verdicts[order]}
                self.decided[order].pop("told", None)  # it may have been proposed since
                if entry["alone"]:
                    self.alone.add(order)

    def _note_reopened(self, entry: dict[str, Any]) -> None:
        order = _order(entry)
        self._forget_episode(order)
        self._gone.discard(order)
        before = self.verdicts.pop(order)
        self.results.pop(order, None)
        self.open[order] = {**entry, "content": before["content"]}

    def _note_copied(self, entry: dict[str, Any]) -> None:
        self.copies.pop(_order(entry), None)
        if entry.get("why"):
            self.failures.append(entry)

    def _note_said(self, entry: dict[str, Any]) -> None:
        self._no_longer_decided(_order(entry))
        self.purposes.add(("approve", _order(entry)))

    def _note_late(self, entry: dict[str, Any]) -> None:
        self.late.pop(_order(entry), None)
        if len(self.late) >= MOST_LATE:
            del self.late[next(iter(self.late))]
        self.late[_order(entry)] = entry

    def _note_mined(self, entry: dict[str, Any]) -> None:
        signed = self.unmined.get((entry["purpose"], _order(entry)))
        self.stuck.pop((entry["purpose"], _order(entry)), None)
        if signed is not None and signed.hash.hex() == entry["hash"]:
            del self.unmined[signed.purpose, signed.order]
        if not entry["succeeded"]:
            self.failures.append(entry)

    def _note_stuck(self, entry: dict[str, Any]) -> None:
        self.stuck[entry["purpose"], _order(entry)] = entry

    def _note_proposed(self, entry: dict[str, Any]) -> None:
        self.unproposed.pop(_order(entry), None)

    def _note_ended(self, entry: dict[str, Any]) -> None:
        self.late.pop(_order(entry), None)
        self._forget_episode(_order(entry))

    def _forget_episode(self, order: ids.OrderId) -> None:
        self.unproposed.pop(order, None)
        self._no_longer_decided(order)
        self.unnamed.pop(order, None)
        self._gone.add(order)
        episode = self.verdicts.get(order, {}).get("episode")
        if episode:
            asset, detector, mode = episode
            self._episodes[asset, detector, mode].pop(order, None)

    def _note_work(self, entry: dict[str, Any]) -> None:
        self.work[_order(entry)] = entry

    def _note_reported(self, entry: dict[str, Any]) -> None:
        if _order(entry) in self.work:
            more = {name: entry[name] for name in ("at", "report", "size")}
            self.work[_order(entry)] = {**self.work[_order(entry)], **more}

    def _note_confirmed(self, entry: dict[str, Any]) -> None:
        if _order(entry) in self.work:
            self.work[_order(entry)] = {**self.work[_order(entry)], "confirmed": entry["by"]}

    def _note_dropped(self, entry: dict[str, Any]) -> None:
        self.work.pop(_order(entry), None)
        if entry["why"]:
            self.failures.append(entry)

    def results_since(self, moment: datetime) -> list[ids.OrderId]:
        """Return the orders whose result documents were handed in since, or nobody knows when."""
        return [
            order
            for order, entry in self.verdicts.items()
            if "result" in entry
            and order not in self.results
            and self._handed.get(order, moment) >= moment
        ]

    def _note_wanted(self, entry: dict[str, Any]) -> None:
        order = _order(entry)
        self.unwanted.discard(order)
        if "result" in self.verdicts.get(order, {}):
            self.results[order] = self.verdicts[order]["result"].encode()

    def _note_handed(self, entry: dict[str, Any]) -> None:
        self.results.pop(_order(entry), None)
        if "why" in entry:
            self.unwanted.add(_order(entry))
        if "at" in entry:  # journals of before do not tell
            self._handed[_order(entry)] = datetime.fromisoformat(entry["at"])

    def _note_closed(self, entry: dict[str, Any]) -> None:
        order = _order(entry)
        self.closed[order] = entry["why"]
        self.open.pop(order, None)
        self.pending.pop(order, None)
        if order in self.decided:  # nobody heard of it
            self._forget_episode(order)
            del self.verdicts[order]
            self.results.pop(order, None)
        self.unproposed.pop(order, None)
        if entry.get("failed"):
            self.failures.append(entry)

    def _note_key(self, entry: dict[str, Any]) -> None:
        self.key = ids.Address(bytes.fromhex(entry["address"]))

    def _note_unaccounted(self, entry: dict[str, Any]) -> None:
        self.unaccounted[_order(entry)] = entry

    def _note_accounted(self, entry: dict[str, Any]) -> None:
        self.unaccounted.pop(_order(entry), None)
        self.failures.append(entry)

    def _note_feed(self, entry: dict[str, Any]) -> None:
        self.feed, self.feed_line = entry["next"], entry.get("line", "")

    def _note_block(self, entry: dict[str, Any]) -> None:
        self.block = entry["number"]


def load_signed(entry: dict[str, Any]) -> SignedVerdict:
    """Return the transaction of a `signed` entry."""
    orders = entry.get("orders", [entry["order"]])
    return SignedVerdict(
        purpose=entry["purpose"],
        orders=tuple(ids.OrderId(bytes.fromhex(order)) for order in orders),
        signer=ids.Address(bytes.fromhex(entry["signer"])),
        nonce=entry["nonce"],
        hash=ids.TxHash(bytes.fromhex(entry["hash"])),
        raw=bytes.fromhex(entry["raw"]),
        call=entry["call"],
        at=entry["at"],
        void=entry.get("void", False),
    )


def _order(entry: dict[str, Any]) -> ids.OrderId:
    return ids.OrderId(bytes.fromhex(entry["order"]))

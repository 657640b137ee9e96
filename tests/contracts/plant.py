"""The published contracts on a chain in this process, and the same plant in the order book that unit tests use."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from eth.vm.forks.london import LondonVM
from eth_abi.abi import encode
from eth_account import Account
from eth_hash.auto import keccak
from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.exceptions import TransactionFailed

from contracts.load import load
from ledger_service.chain import binding, consortium
from ledger_service.chain.consortium import Motion, OrganisationKeys, VersionTerms
from ledger_service.chain.keys import LocalSigner
from ledger_service.domain import calls, errors, facts, ids
from ledger_service.domain.facts import OrderWord
from ledger_service.domain.order import OrdersDomain
from ledger_service.testing.consortium import Registry, Terms

CHAIN_ID = 131277322940537  # eth-tester's
ASSET = ids.AssetId(b"\x01" + keccak(b"robot")[1:])
DETECTOR = ids.DetectorId(keccak(b"detector"))
GAS = 8_000_000
DAY = 24 * 3600
ROLES = ("verdict", "governance", "recovery")
NUMBERS = (1, 2, 3)
RATIFY = 3600
CAP = 100_000


def account(name: str) -> Any:
    """Return the account that a name stands for."""
    return Account.from_key(keccak(name.encode()))


def address(name: str) -> ids.Address:
    """Return its address."""
    return ids.parse_address(account(name).address)


def terms(previous: bytes = bytes(32)) -> VersionTerms:
    """Return what the three agreed on: the first is host, the third safety authority."""
    return VersionTerms(
        ASSET, NUMBERS, 1, 3, previous, ratify_period=RATIFY, emergency_cap=CAP, emergency_max=2
    )


@dataclass(frozen=True)
class Mined:
    """What became of a transaction: its events, or the error, at a block time."""

    time: int
    events: list[facts.Event]
    error: errors.CallReverted | None


class Plant:
    """Three organisations, a builder and a stranger; every move a transaction of its own."""

    def __init__(self) -> None:
        self.tester = EthereumTester(PyEVMBackend(vm_configuration=((0, LondonVM),)))
        self._salt = 0
        self._bank = self.tester.get_accounts()[0]
        names = [f"{role} {number}" for role in ROLES for number in NUMBERS]
        for name in (*names, "builder", "stranger"):
            self._fund(name)
        deployer = ids.parse_address(account("builder").address)
        self.consortium = consortium.created_at(deployer, 0)
        self.domain = OrdersDomain(CHAIN_ID, consortium.created_at(deployer, 1), keccak(b"0"))
        self._deploy()
        self.version = self.register_version()
        self.pass_motion("AddDetector", DETECTOR)

    def _fund(self, name: str) -> None:
        self.tester.add_account("0x" + keccak(name.encode()).hex())
        ether = {"from": self._bank, "to": account(name).address, "gas": 21_000, "value": 10**20}
        self.tester.send_transaction(ether)

    def _deploy(self) -> None:
        organisations = [
            OrganisationKeys(*(LocalSigner(account(f"{role} {number}")) for role in ROLES))
            for number in NUMBERS
        ]
        builders = [LocalSigner(account("builder"))]
        founding = consortium._founding(CHAIN_ID, self.consortium, organisations, builders, DAY)
        interface = binding.consortium_interface()
        self._must(
            "builder", None, load("Consortium").bytecode + encode(interface.constructor, founding)
        )
        code = consortium.orders_code(self.consortium, None, self.domain.salt)
        self._must("builder", None, code)
        self.pass_motion("ListOrders", ids.checksum(self.domain.contract))

    # ---- what its people do

    def register_version(self, previous: bytes = bytes(32)) -> ids.VersionId:
        """Register the asset's next version."""
        fields = terms(previous)
        self.pass_motion("RegisterVersion", fields.as_tuple())
        return consortium.version_id(CHAIN_ID, self.consortium, fields)

    def pass_motion(self, kind: str, *arguments: Any, voters: tuple[int, ...] = NUMBERS) -> None:
        """Let a motion pass."""
        self._salt += 1
        data = encode(consortium.ARGUMENTS[kind], arguments)
        motion = Motion(kind, data, self.now() + DAY, self._salt.to_bytes(32))
        for number in voters:
            self._must(f"governance {number}", self.consortium, motion.calldata("vote"))

    def act(self, name: str, call: calls.Call) -> Mined:
        """Send a call and say what became of it."""
        return self._send(name, self.domain.contract, binding.encode(call))

    def _must(self, name: str, to: ids.Address | None, data: bytes) -> None:
        done = self._send(name, to, data)
        assert done.error is None, done.error

    def _send(self, name: str, to: ids.Address | None, data: bytes) -> Mined:
        fields = {"from": account(name).address, "gas": GAS, "data": "0x" + data.hex()}
        if to is not None:
            fields["to"] = ids.checksum(to)
        receipt = self.tester.get_transaction_receipt(self.tester.send_transaction(fields))
        time = self.now()
        if receipt["status"] == 0:
            return Mined(time, [], self._why(fields))
        return Mined(time, [event for log in receipt["logs"] if (event := event_of(log))], None)

    def _why(self, fields: dict[str, Any]) -> errors.CallReverted:
        """Ask again in the block that held the failure: same state, same time."""
        try:
            self.tester.call(fields)
        except TransactionFailed as failed:
            return binding.reverted(ast.literal_eval(str(failed)).hex())
        raise AssertionError(fields)

    # ---- what can be read

    def now(self) -> int:
        """Return the time of the latest block."""
        stamp: int = self.tester.get_block_by_number("latest")["timestamp"]
        return stamp

    def word(self, order: ids.OrderId) -> OrderWord:
        """Return the order's word."""
        return OrderWord.unpack(int.from_bytes(self._ask("word", order)))

    def emergencies(self, version: ids.VersionId) -> tuple[int, ...]:
        """Return the version's counters."""
        answer = self._ask("emergencies", version)
        return tuple(int.from_bytes(answer[at : at + 32]) for at in range(0, len(answer), 32))

    def _ask(self, function: str, *arguments: Any) -> bytes:
        data = binding.orders_interface().functions[function].encode(*arguments)
        to = ids.checksum(self.domain.contract)
        answer: str = self.tester.call({"from": self._bank, "to": to, "data": "0x" + data.hex()})
        return bytes.fromhex(answer[2:])


def event_of(log: dict[str, Any]) -> facts.Event | None:
    """Read a log of the orders contract."""
    topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
    event = binding.orders_interface().events.get(topics[0])
    if event is None:
        return None
    return binding._event(event.name, event.decode(topics, bytes.fromhex(log["data"][2:])))


def registry(version: ids.VersionId) -> Registry:
    """Return the same plant as the order book in memory knows it."""
    found = Registry()
    for number in NUMBERS:
        keys = (address(f"verdict {number}"), address(f"governance {number}"))
        found.organisations[number] = facts.Organisation(number, *keys)
        found.members.add(number)
    found.builders.add(address("builder"))
    found.detectors[DETECTOR] = True
    add_version(found, version)
    return found


def add_version(found: Registry, version: ids.VersionId) -> None:
    """Register the asset's next version there."""
    seats = facts.Version(version, ASSET, live=True, seats=NUMBERS, host=1, safety=3)
    found.versions[version] = Terms(seats, RATIFY, CAP, 2)
    found.current[ASSET] = version

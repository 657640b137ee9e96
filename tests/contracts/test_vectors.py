"""The published ids, asked of the compiled contracts: the vectors' chain and deployer are eth-tester's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eth.vm.forks.london import LondonVM
from eth_abi.abi import encode
from eth_account import Account
from eth_hash.auto import keccak
from eth_tester import EthereumTester, PyEVMBackend

from contracts.load import load
from ledger_service.chain import consortium
from ledger_service.chain.binding import consortium_interface, orders_interface
from ledger_service.chain.consortium import OrganisationKeys
from ledger_service.chain.keys import LocalSigner
from ledger_service.domain import ids

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "orders.json").read_text(encoding="utf-8")
)
DEPLOYER = Account.from_key((1).to_bytes(32)).address


def keys(number: int) -> OrganisationKeys:
    roles = ("verdict", "governance", "recovery")
    made = [LocalSigner(Account.from_key(keccak(f"{role} {number}".encode()))) for role in roles]
    return OrganisationKeys(*made)


@pytest.fixture(scope="module")
def chain() -> EthereumTester:
    """Deploy both contracts, first and second transaction of the first account."""
    backend = PyEVMBackend(vm_configuration=((0, LondonVM),))
    tester = EthereumTester(backend)
    registry = ids.parse_address(VECTORS["version"]["consortium"])
    chain_id = VECTORS["domain"]["chainId"]
    founding = consortium._founding(chain_id, registry, [keys(1), keys(2), keys(3)], [], 3600)
    salt = bytes.fromhex(VECTORS["domain"]["salt"])
    creations = [
        load("Consortium").bytecode + encode(consortium_interface().constructor, founding),
        consortium.orders_code(registry, None, salt),
    ]
    for data in creations:
        sent = tester.send_transaction(
            {"from": DEPLOYER, "gas": 8_000_000, "data": "0x" + data.hex()}
        )
        assert tester.get_transaction_receipt(sent)["status"] == 1
    return tester


def ask(chain: EthereumTester, contract: str, data: bytes) -> bytes:
    answer: str = chain.call({"from": DEPLOYER, "to": contract, "data": "0x" + data.hex()})
    return bytes.fromhex(answer[2:])


def test_the_domain_separator_is_the_contracts_own(chain: EthereumTester) -> None:
    domain = VECTORS["domain"]
    data = orders_interface().functions["domainSeparator"].encode()

    assert ask(chain, domain["verifyingContract"], data).hex() == domain["separator"]


def test_order_ids_are_what_the_contract_says(chain: EthereumTester) -> None:
    contract = VECTORS["domain"]["verifyingContract"]
    for case in VECTORS["orders"]:
        fields: list[Any] = [
            bytes.fromhex(value) if isinstance(value, str) and len(value) == 64 else value
            for value in case["content"].values()
        ]
        data = orders_interface().functions["idOf"].encode(tuple(fields))

        assert ask(chain, contract, data).hex() == case["id"]


def test_the_version_id_is_what_the_contract_says(chain: EthereumTester) -> None:
    terms = VECTORS["version"]
    fields = (
        bytes.fromhex(terms["asset"]),
        bytes.fromhex(terms["previous"]),
        terms["seats"],
        terms["host"],
        terms["safety"],
        terms["ratifyPeriod"],
        terms["emergencyCap"],
        terms["emergencyMax"],
    )
    data = consortium_interface().functions["versionId"].encode(fields)

    assert ask(chain, terms["consortium"], data).hex() == terms["id"]

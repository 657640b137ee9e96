from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import rlp
from eth_hash.auto import keccak
from trie.hexary import HexaryTrie
from web3 import AsyncWeb3, WebSocketProvider

from tests.peers.probe import CODE, SET_TOPIC, Sender, selector, set_call, slot_of, word
from tests.peers.rpc import RpcFailed, post, rpc
from validators.network.files import Network

HEADER = (
    *("parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot"),
    *("logsBloom", "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "extraData"),
    *("mixHash", "nonce", "baseFeePerGas"),
)
QUANTITIES = frozenset(
    {"difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas"}
)


def url_of(network: Network) -> str:
    return network.nodes[0].rpc


def send(network: Network, raw: str) -> str:
    return str(rpc(url_of(network), "eth_sendRawTransaction", raw))


def receipt(network: Network, digest: str) -> dict[str, Any]:
    for _ in range(1000):
        if found := rpc(url_of(network), "eth_getTransactionReceipt", digest):
            return dict(found)
        time.sleep(0.01)
    pytest.fail(f"{digest} is not mined")


def header_hash(block: dict[str, Any]) -> str:
    fields = [
        int(block[name], 16) if name in QUANTITIES else bytes.fromhex(block[name][2:])
        for name in HEADER
    ]
    return "0x" + keccak(rlp.encode(fields)).hex()


def walk(root: bytes, key: str, nodes: list[Any]) -> bytes:
    hashed = keccak(bytes.fromhex(key[2:]))
    return bytes(HexaryTrie.get_from_proof(root, hashed, nodes))  # type: ignore[no-untyped-call]


@pytest.fixture
def sender(embedded_chain: Network) -> Sender:
    return Sender(embedded_chain.chain_id, embedded_chain.fee_policy)


@pytest.fixture
def probe(embedded_chain: Network, sender: Sender) -> str:
    digest = send(embedded_chain, sender.sign(None, bytes.fromhex(CODE), gas=1_000_000))
    return str(receipt(embedded_chain, digest)["contractAddress"])


@pytest.fixture
async def web3(embedded_chain: Network) -> AsyncIterator[AsyncWeb3[WebSocketProvider]]:
    async with AsyncWeb3(WebSocketProvider(embedded_chain.nodes[0].ws)) as connection:
        yield connection


def test_it_says_everywhere_that_it_is_no_network(embedded_chain: Network) -> None:
    client = rpc(url_of(embedded_chain), "web3_clientVersion")

    assert "no-network" in client
    assert embedded_chain.kind == "embedded"
    assert "no network" in embedded_chain.note
    assert embedded_chain.validators == ()


def test_a_sender_without_ether_is_mined(
    embedded_chain: Network, sender: Sender, probe: str
) -> None:
    mined = receipt(embedded_chain, send(embedded_chain, sender.sign(probe, set_call(1, 7))))

    assert mined["status"] == "0x1"
    assert mined["from"] == sender.address
    assert mined["logs"][0]["topics"] == [SET_TOPIC, "0x" + word(1).hex()]


def test_block_hashes_are_the_hashes_of_the_headers(embedded_chain: Network, probe: str) -> None:
    blocks = [rpc(url_of(embedded_chain), "eth_getBlockByNumber", hex(n), False) for n in (0, 1)]

    assert [header_hash(block) for block in blocks] == [block["hash"] for block in blocks]
    assert blocks[1]["parentHash"] == blocks[0]["hash"] == embedded_chain.genesis_digest
    assert rpc(url_of(embedded_chain), "eth_getCode", probe, "0x1") != "0x"


def test_many_nonces_of_one_sender_fit_into_one_batch(
    embedded_chain: Network, sender: Sender, probe: str
) -> None:
    raws = [sender.sign(probe, set_call(key, key)) for key in range(50)]
    batch = [
        {"jsonrpc": "2.0", "id": n, "method": "eth_sendRawTransaction", "params": [raw]}
        for n, raw in enumerate(reversed(raws))
    ]

    digests = [reply["result"] for reply in post(url_of(embedded_chain), batch)]

    assert all(receipt(embedded_chain, digest)["status"] == "0x1" for digest in digests)
    assert (
        rpc(url_of(embedded_chain), "eth_getTransactionCount", sender.address, "latest") == "0x33"
    )


def test_logs_are_found_by_address_topic_and_range(
    embedded_chain: Network, sender: Sender, probe: str
) -> None:
    url = url_of(embedded_chain)
    mined = [
        receipt(embedded_chain, send(embedded_chain, sender.sign(probe, set_call(key, 9))))
        for key in (1, 2)
    ]

    everything = rpc(url, "eth_getLogs", {"fromBlock": "0x0", "address": probe})
    second = rpc(url, "eth_getLogs", {"fromBlock": "0x0", "topics": [None, "0x" + word(2).hex()]})
    either = rpc(url, "eth_getLogs", {"fromBlock": "0x0", "topics": [[SET_TOPIC, slot_of(1)]]})
    by_hash = rpc(url, "eth_getLogs", {"blockHash": mined[0]["blockHash"]})
    elsewhere = rpc(url, "eth_getLogs", {"fromBlock": "0x0", "address": sender.address})

    assert everything == either == mined[0]["logs"] + mined[1]["logs"]
    assert second == mined[1]["logs"]
    assert by_hash == mined[0]["logs"]
    assert elsewhere == []


def test_a_storage_proof_verifies_against_the_header(
    embedded_chain: Network, sender: Sender, probe: str
) -> None:
    receipt(embedded_chain, send(embedded_chain, sender.sign(probe, set_call(5, 1234))))
    keys = [slot_of(5), slot_of(6)]

    block = rpc(url_of(embedded_chain), "eth_getBlockByNumber", "latest", False)
    proof = rpc(url_of(embedded_chain), "eth_getProof", probe, keys, block["number"])

    nodes = [rlp.decode(bytes.fromhex(n[2:])) for n in proof["accountProof"]]
    root = bytes.fromhex(block["stateRoot"][2:])
    account = rlp.decode(walk(root, probe, nodes))
    assert "0x" + account[2].hex() == proof["storageHash"]
    for key, found, expected in zip(keys, proof["storageProof"], (1234, 0), strict=True):
        path = [rlp.decode(bytes.fromhex(n[2:])) for n in found["proof"]]
        value = walk(account[2], key, path)
        assert int(found["value"], 16) == expected
        assert int.from_bytes(rlp.decode(value) if value else b"", "big") == expected


def test_reverts_carry_their_data_as_in_geth(
    embedded_chain: Network, sender: Sender, probe: str
) -> None:
    refused = {"to": probe, "data": "0x" + (selector("refuse(uint256)") + word(3)).hex()}
    text = {"to": probe, "data": "0x" + selector("text()").hex(), "from": sender.address}

    with pytest.raises(RpcFailed) as custom:
        rpc(url_of(embedded_chain), "eth_call", refused, "latest")
    with pytest.raises(RpcFailed) as plain:
        rpc(url_of(embedded_chain), "eth_estimateGas", text)

    selected = selector("Refused(uint256)")
    assert custom.value.error == {
        "code": 3,
        "message": "execution reverted",
        "data": "0x" + (selected + word(3)).hex(),
    }
    assert plain.value.error["code"] == 3
    assert plain.value.error["message"] == "execution reverted: no"


def test_an_estimate_is_enough_and_one_less_is_not(
    embedded_chain: Network, sender: Sender, probe: str
) -> None:
    request = {"from": sender.address, "to": probe, "data": "0x" + set_call(8, 8).hex()}
    estimate = int(rpc(url_of(embedded_chain), "eth_estimateGas", request), 16)

    less = send(embedded_chain, sender.sign(probe, set_call(8, 8), gas=estimate - 1))
    enough = send(embedded_chain, sender.sign(probe, set_call(8, 8), gas=estimate))

    assert receipt(embedded_chain, less)["status"] == "0x0"
    assert receipt(embedded_chain, enough)["status"] == "0x1"


def test_transactions_that_can_never_be_mined_are_refused_like_in_geth(
    embedded_chain: Network, sender: Sender, probe: str
) -> None:
    stale = sender.sign(probe, set_call(1, 1))
    waiting = Sender(embedded_chain.chain_id, embedded_chain.fee_policy)
    waiting.nonce = 3
    gap = waiting.sign(probe, set_call(1, 1))
    elsewhere = Sender(7, embedded_chain.fee_policy).sign(probe, set_call(1, 1))
    cheap = Sender(embedded_chain.chain_id, embedded_chain.fee_policy).sign(probe, b"", gas=20_999)
    receipt(embedded_chain, send(embedded_chain, stale))
    send(embedded_chain, gap)

    texts = []
    for raw in (stale, gap, elsewhere, cheap, "0x", "0x02f8", "0x7f00"):
        with pytest.raises(RpcFailed) as refused:
            send(embedded_chain, raw)
        texts.append(refused.value.error["message"])

    assert texts[0] == "nonce too low: next nonce 2, tx nonce 1"
    assert texts[1] == "already known"
    assert texts[2].startswith("invalid sender: invalid chain id for signer")
    assert texts[3].startswith("intrinsic gas too low")
    assert texts[4] == "typed transaction too short"
    assert texts[5].startswith("rlp")
    assert texts[6] == "transaction type not supported"


def test_unfit_requests_are_errors_and_never_half_answers(embedded_chain: Network) -> None:
    url = url_of(embedded_chain)
    asked: list[tuple[str, list[Any], int]] = [
        ("eth_accounts", [], -32601),
        ("eth_subscribe", ["newHeads"], -32601),
        ("eth_getBlockByNumber", ["0x01", False], -32602),
        ("eth_getBlockByNumber", ["latest", 1], -32602),
        ("eth_getBalance", ["0x12"], -32602),
        ("eth_call", [{"to": None}, "latest", {"0x00": {}}], -32602),
        ("eth_call", [{"foo": "0x1"}], -32602),
        ("eth_getLogs", [{"adress": []}], -32602),
        ("eth_call", [{}, "0xfffff"], -32000),
    ]

    codes = []
    for method, params, _ in asked:
        with pytest.raises(RpcFailed) as failed:
            rpc(url, method, *params)
        codes.append(failed.value.error["code"])

    assert codes == [code for _, _, code in asked]
    assert post(url, [])["error"]["code"] == -32600
    assert post(url, {"id": 1})["error"]["code"] == -32600


async def test_heads_and_logs_come_over_a_websocket(
    sender: Sender, probe: str, web3: AsyncWeb3[WebSocketProvider]
) -> None:
    heads = await web3.eth.subscribe("newHeads")
    logs = await web3.eth.subscribe("logs", {"address": web3.to_checksum_address(probe)})

    await web3.eth.send_raw_transaction(sender.sign(probe, set_call(4, 4)))  # type: ignore[arg-type]
    seen: dict[str, Any] = {}
    async for message in web3.socket.process_subscriptions():
        seen[str(message["subscription"])] = message["result"]
        if len(seen) == 2:
            break

    assert seen[str(heads)]["number"] == 2
    assert seen[str(logs)]["blockHash"] == seen[str(heads)]["hash"]
    assert await web3.eth.unsubscribe(heads)


async def test_a_legacy_transaction_and_its_shape(
    embedded_chain: Network, sender: Sender, probe: str, web3: AsyncWeb3[WebSocketProvider]
) -> None:
    legacy = sender.account.sign_transaction(
        {
            "nonce": sender.nonce,
            "gas": 100_000,
            "gasPrice": 0,
            "to": web3.to_checksum_address(probe),
            "value": 0,
            "data": set_call(1, 2),
            "chainId": embedded_chain.chain_id,
        }
    )
    digest = await web3.eth.send_raw_transaction(legacy.raw_transaction)
    mined = await web3.eth.wait_for_transaction_receipt(digest, poll_latency=0.01)

    found = await web3.eth.get_transaction(digest)
    block = await web3.eth.get_block(mined["blockNumber"], full_transactions=True)

    assert found["v"] == legacy.v
    assert found["type"] == 0
    assert block["transactions"] == [found]
    assert await web3.eth.get_transaction_count(sender.account.address, "pending") == 2

"""A small contract for tests of chains: stores a word, logs it, and reverts in two ways.

    contract Probe {
        error Refused(uint256 found);
        event Set(uint256 indexed key, uint256 value, address sender);
        mapping(uint256 => uint256) public values;
        function set(uint256 key, uint256 value) external { values[key] = value; emit Set(...); }
        function refuse(uint256 x) external pure { revert Refused(x); }
        function text() external pure { revert("no"); }
    }

solc 0.8.37, evmVersion london, optimizer 200.
"""

from __future__ import annotations

from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address

from validators.network.files import FeePolicy

CODE = (
    "6080604052348015600f57600080fd5b5061018d8061001f6000396000f3fe60806040523480156100105760"
    "0080fd5b506004361061004c5760003560e01c80631ab06ee5146100515780631f1bd692146100665780635e"
    "383d211461006e578063a60a07b2146100a0575b600080fd5b61006461005f366004610152565b6100b3565b"
    "005b610064610104565b61008e61007c366004610174565b60006020819052908152604090205481565b6040"
    "5190815260200160405180910390f35b6100646100ae366004610174565b610136565b600082815260208181"
    "526040918290208390558151838152339181019190915283917fa0eb810e1b5700505d2ce572a45927b0af4c"
    "7ee31768b475069875ce64fb5841910160405180910390a25050565b60405162461bcd60e51b815260206004"
    "82015260026024820152616e6f60f01b60448201526064015b60405180910390fd5b60405163590a515160e0"
    "1b81526004810182905260240161012d565b6000806040838503121561016557600080fd5b50508035926020"
    "909101359150565b60006020828403121561018657600080fd5b503591905056"
)
SET_TOPIC = "0x" + keccak(b"Set(uint256,uint256,address)").hex()
GAS = 200_000


def selector(signature: str) -> bytes:
    return keccak(signature.encode())[:4]


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def set_call(key: int, value: int) -> bytes:
    return selector("set(uint256,uint256)") + word(key) + word(value)


def slot_of(key: int) -> str:
    return "0x" + keccak(word(key) + word(0)).hex()


class Sender:
    """A key that counts its own nonces and signs by the network's fee policy."""

    def __init__(self, chain_id: int, fees: FeePolicy, account: LocalAccount | None = None) -> None:
        self.account: LocalAccount = account or Account.create()
        self.chain_id = chain_id
        self.fees = fees
        self.nonce = 0

    @property
    def address(self) -> str:
        return self.account.address.lower()

    def sign(self, to: str | None, payload: bytes, *, gas: int = GAS) -> str:
        transaction: dict[str, Any] = {
            "nonce": self.nonce,
            "gas": gas,
            "value": 0,
            "data": payload,
            "chainId": self.chain_id,
            **self._price(),
            **({"to": to_checksum_address(to)} if to else {}),
        }
        self.nonce += 1
        return "0x" + bytes(self.account.sign_transaction(transaction).raw_transaction).hex()

    def _price(self) -> dict[str, int]:
        if self.fees.type == 0:
            return {"gasPrice": self.fees.gas_price or 0}
        return {
            "type": 2,
            "maxFeePerGas": self.fees.max_fee_per_gas or 0,
            "maxPriorityFeePerGas": self.fees.max_priority_fee_per_gas or 0,
        }

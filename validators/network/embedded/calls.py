"""`eth_call` and `eth_estimateGas`: executed on a block's state, then forgotten. Errors like geth's."""

from __future__ import annotations

from eth.abc import ComputationAPI
from eth.exceptions import OutOfGas, Revert
from eth.vm.forks.london import LondonVM
from eth.vm.spoof import SpoofTransaction
from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_typing import Address

from validators.network.embedded.blocks import Block
from validators.network.embedded.machine import Machine, Unfit
from validators.network.embedded.params import CallRequest
from validators.network.embedded.rpc import REVERTED, SERVER_ERROR, RpcError

CALL_GAS = 50_000_000  # geth's --rpc.gascap
_ERROR_STRING = bytes.fromhex("08c379a0")  # Error(string)


def execute(machine: Machine, block: Block, request: CallRequest) -> bytes:
    """Return what the call returns. Raise RpcError: code 3 with data where it reverts."""
    gas = min(request.gas or CALL_GAS, CALL_GAS)
    computation, _ = _run(machine, block, request, gas)
    _check(computation, gas)
    return bytes(computation.output)


def estimate(machine: Machine, block: Block, request: CallRequest) -> int:
    """Return the least gas limit with which the transaction succeeds, found by bisection.

    Raise RpcError: code 3 with data where it reverts with all the gas of a block.
    """
    most = min(request.gas or block.header.gas_limit, block.header.gas_limit)
    computation, used = _run(machine, block, request, most)
    _check(computation, most)
    too_little = used - 1
    while most - too_little > 1:
        # Most calls need little more than they use, so the first guesses lie near the lower end.
        middle = min((most + too_little) // 2, 2 * too_little)
        if _succeeds(machine, block, request, middle):
            most = middle
        else:
            too_little = middle
    return most


def _succeeds(machine: Machine, block: Block, request: CallRequest, gas: int) -> bool:
    try:
        return not _run(machine, block, request, gas)[0].is_error
    except RpcError:
        return False


def _run(
    machine: Machine, block: Block, request: CallRequest, gas: int
) -> tuple[ComputationAPI, int]:
    nonce = machine.nonce(block, request.sender)
    unsigned = LondonVM.create_unsigned_transaction(
        nonce=nonce,
        gas_price=request.gas_price,
        gas=gas,
        to=Address(request.to or b""),
        value=request.value,
        data=request.payload,
    )
    if gas < unsigned.intrinsic_gas:
        text = f"intrinsic gas too low: have {gas}, want {unsigned.intrinsic_gas}"
        raise RpcError(SERVER_ERROR, f"err: {text} (supplied gas {gas})")
    try:
        return machine.call(block, SpoofTransaction(unsigned, from_=request.sender))
    except Unfit as exc:
        text = f"insufficient funds for gas * price + value: {exc}"
        raise RpcError(SERVER_ERROR, text) from exc


def _check(computation: ComputationAPI, gas: int) -> None:
    if not computation.is_error:
        return
    error = computation.error
    if isinstance(error, Revert):
        output = bytes(computation.output)
        raise RpcError(REVERTED, _reason(output), "0x" + output.hex())
    if isinstance(error, OutOfGas):
        raise RpcError(SERVER_ERROR, f"out of gas: gas required exceeds allowance ({gas})")
    raise RpcError(SERVER_ERROR, str(error) or type(error).__name__)


def _reason(output: bytes) -> str:
    """Return geth's text: with the string of Error(string), if that is what came back."""
    if output[:4] != _ERROR_STRING:
        return "execution reverted"
    try:
        (text,) = decode(["string"], output[4:])
    except (DecodingError, OverflowError):
        return "execution reverted"
    return f"execution reverted: {text}"

from __future__ import annotations

import asyncio

from validators.network.processes import Gate


async def test_no_signer_of_a_new_chain_begins_before_all_are_there() -> None:
    gate = Gate(3)
    early = [asyncio.create_task(gate.enter()) for _ in range(2)]
    await asyncio.sleep(0.01)

    assert not any(task.done() for task in early)
    await gate.enter()
    await asyncio.gather(*early)

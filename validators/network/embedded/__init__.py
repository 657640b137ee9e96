"""A chain in one process: py-evm (London) behind JSON-RPC over HTTP and WebSocket.

It is no network, and says so wherever it is asked: in `web3_clientVersion`, in the genesis block's
extra data and in network.json. It is there so that development, tests and the demo run anywhere,
with the same clients and the same contracts as on real nodes.

What it promises: a block that was seen (by its number, a receipt, a subscription) is on disk and
comes back with the same hash after a kill at any moment. What it does not promise: a transaction
that was accepted but not yet mined is lost by a kill, as in the pool of any node; the sender sends
the same bytes again.

    python -m validators.network.embedded --dir D --port P [--period S] [--chain-id N] [--fund A]
"""

"""Networks on loopback: genesis, keys, nodes as processes, and the embedded chain.

`files` is the shape of network.json; `genesis` builds the genesis of each kind; `layout` makes a
folder with everything a network needs; `processes` says how each node is started, so that any
supervisor can keep it alive; `embedded` is the chain in one process for development and tests.
"""

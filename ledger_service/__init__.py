"""The ledger service: seals evidence, anchors orders, follows the chain, relays what became final."""

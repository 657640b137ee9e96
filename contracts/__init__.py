"""The contracts: Solidity sources, the pinned build, and the committed artifacts."""

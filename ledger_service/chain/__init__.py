"""The chain: one client for geth's Clique, Besu's and GoQuorum's QBFT, and the embedded chain."""

"""The purchase order: exactly one per order that all parties approved."""

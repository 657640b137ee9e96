"""The order document: one per order, its present status and how it got there."""

"""One relay each: how a settled fact reaches a system outside."""

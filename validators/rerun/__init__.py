"""Re-execution: the organisation's own copies of the detectors, run on bytes that it hashed itself."""

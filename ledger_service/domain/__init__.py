"""What the words of this house mean, pure: no I/O, no framework. Everything else may import it."""

"""Commands of the edge, one file per noun."""

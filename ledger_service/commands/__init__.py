"""Commands of the service, one file per noun. Other packages bring theirs by entry points."""

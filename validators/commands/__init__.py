"""Commands of an organisation, one file per noun."""

"""The verbs of the service. They speak to ports and domain alone; `wiring` gives them real ones."""

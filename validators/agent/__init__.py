"""An organisation's agent: checks every order itself, from bytes, and signs its own verdict."""

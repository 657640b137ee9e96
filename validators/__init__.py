"""What an organisation runs: its agent, its rules, its keys, its node."""

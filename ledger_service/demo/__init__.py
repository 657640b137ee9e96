"""The whole plant on one machine: chain, service, three agents, robots; for demo, tests, benches."""

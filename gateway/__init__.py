"""The gateway: one GraphQL endpoint and a few REST endpoints in front of the subgraphs."""

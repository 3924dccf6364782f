"""What the gateway and the subgraphs both stand on; imports neither."""

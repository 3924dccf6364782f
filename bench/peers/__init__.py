"""Nexus' gateway against others, over the same subgraphs in the same run."""

"""How fetches reach subgraphs: in this process, or over HTTP."""

"""From an operation to a plan: candidate paths, the cheapest of them, fetches, fewer fetches."""

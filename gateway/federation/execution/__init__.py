"""From a plan to a response: representations, merging, errors, projection."""

"""The federation engine: supergraph SDL to model to plan to response.

Pure: imports the standard library and graphql-core only, and knows nothing of
HTTP, of our domains or of our settings.
"""

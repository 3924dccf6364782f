"""The supergraph as a model: join directives, the API schema, what each subgraph can print."""

"""Reading supergraphs: their model, their API schema, what is refused."""

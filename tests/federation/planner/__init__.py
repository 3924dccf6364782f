"""The planner's tests: an operation over a small supergraph, and the plan it must have."""

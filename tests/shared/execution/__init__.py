"""Compiled execution: the same answers as graphql-core's."""

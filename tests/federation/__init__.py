"""Tests of the engine, among them the federation conformance suites."""

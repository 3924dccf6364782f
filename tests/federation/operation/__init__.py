"""Tests of preparing operations."""

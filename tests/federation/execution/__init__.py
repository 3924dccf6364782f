"""Tests of running plans that are written by hand."""

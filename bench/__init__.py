"""Measurements, as ratios within one run; never imported by the product, never a test."""

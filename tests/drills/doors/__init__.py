"""Attacks on the doors of the site: what issue 12 found, one file for each of its points (test_NN_…)."""

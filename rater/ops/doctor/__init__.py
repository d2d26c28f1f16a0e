"""Checks everything around a rater and lists what is wrong, why, and what to type."""

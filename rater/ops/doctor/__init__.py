"""Looks at everything around a rater and says what is wrong, why, and what to type."""

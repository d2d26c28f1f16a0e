"""Calls before and while they run: what carries them, whether they may start, and which must end."""

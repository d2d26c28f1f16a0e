"""Payments: what is asked of a gateway, what its answers mean, and how they come back as commands."""

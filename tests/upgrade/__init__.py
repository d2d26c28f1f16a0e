"""What release 0.3.0 wrote, upgraded (A51)."""

"""The embedded rater: files in, one SQLite file out, no server.  The reference for every other shell."""

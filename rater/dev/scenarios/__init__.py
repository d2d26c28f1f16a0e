"""Scenarios: what is provisioned, what happens, and what must come out, as files that people write.

`model` is the file format, `runner` plays a scenario on an engine, `compare` says what differs.
"""

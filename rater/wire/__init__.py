"""The contracts of the topics: bytes to inputs, outputs to bytes, schemas, and the topics' own list."""

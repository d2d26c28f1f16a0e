"""Files that people and switches have: readers that turn them into records, one at a time."""

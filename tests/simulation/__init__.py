"""A seeded model of Kafka, and the real rating task on it: whatever crashes, nothing is lost and nothing comes twice."""

"""What developers need: generated calls, the demo, scenarios, a local Kafka, a sandbox gateway."""

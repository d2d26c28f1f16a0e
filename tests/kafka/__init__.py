"""On a real Kafka: what the simulation says must hold here too."""

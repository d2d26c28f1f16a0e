"""The two engines behind the HTTP door: a store, and Kafka."""

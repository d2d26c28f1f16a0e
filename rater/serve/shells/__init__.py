"""The two engines behind the HTTP server: a store, and Kafka."""

"""The shell on Apache Kafka: topics, the rating worker, publishing, consuming, verifying."""

"""`rater what-if` over Kafka's topics: read only, in its own process, without a consumer group."""

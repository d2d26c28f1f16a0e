"""A replica of Kafka's topics in one file, with the tables of a store: readers never ask the rating task."""

"""What a deployment does right now, seen from Kafka alone: no worker is asked."""

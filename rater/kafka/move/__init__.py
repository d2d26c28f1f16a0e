"""Everything of a deployment carried over to topics of another prefix: more partitions, or a second site."""

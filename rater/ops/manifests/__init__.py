"""What runs rater somewhere: access rights and manifests, generated from the topics' own list."""

"""Every decoder gives a value or a refusal, whatever the bytes are."""

"""One batch of records, and the ports that shells implement."""

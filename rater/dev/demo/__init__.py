"""The demo: a month of three tenants, rated and shown."""

"""What operators see: one closed list of metrics, what counts them, and the dashboards made from it."""

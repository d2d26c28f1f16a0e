"""What operators need: metrics, dashboards, alerts, logs, doctor, top, manifests, settings."""

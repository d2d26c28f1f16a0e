"""Notifications: what happened to a tenant, sent to people by e-mail and to machines by signed webhooks."""

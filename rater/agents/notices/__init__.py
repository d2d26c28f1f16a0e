"""Notifications: what happened to a tenant, told to people by e-mail and to machines by signed webhooks."""

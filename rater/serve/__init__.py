"""What answers over HTTP: authorisation of calls, and who may ask."""

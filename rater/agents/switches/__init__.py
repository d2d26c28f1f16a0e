"""Carries orders to end calls to the switches that have them: which has a call, how, until when."""

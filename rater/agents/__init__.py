"""Agents: what acts on the rating task's decisions, and answers switches; an ordinary Faust app."""

"""Bringing files in: which formats there are, and how their rows become events and items."""

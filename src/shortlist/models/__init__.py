"""Trained models: the registry of versions, the artifacts, and loading one while serving (flows 5 and 6)."""

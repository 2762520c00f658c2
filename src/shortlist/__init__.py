"""Real-time recommendations a team can own."""

__version__ = "0.1.0"

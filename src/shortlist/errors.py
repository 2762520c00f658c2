"""The root of every error that shortlist raises on purpose."""


class ShortlistError(Exception):
    """Something a person can act on: the message says what failed, with which value, and what to do now."""

"""Nobody is a stranger: first slates for new users, first users for new items (flows 9 and 10)."""

"""What the shop sells: items, where they are kept, and the table that serving reads."""

"""What is known of each user right now: features declared once, folded from the log exactly once (flow 4)."""

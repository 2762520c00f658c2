"""The vector index: nearest by inner product, exact where quicker, else in inverted lists (flow 7)."""

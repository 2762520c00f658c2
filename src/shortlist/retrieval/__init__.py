"""The vector index: nearest by inner product, exact while that is quicker, else FAISS inverted lists (flow 7)."""

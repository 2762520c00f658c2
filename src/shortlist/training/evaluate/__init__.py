"""Offline evaluation: public data, protocols, baselines and our chain, side by side."""

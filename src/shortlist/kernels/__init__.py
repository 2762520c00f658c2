"""Loops in compiled code, where numpy takes several passes, or many small ones."""

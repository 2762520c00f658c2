"""Loops over ids in compiled code, where numpy takes several passes over arrays as long as the catalog."""

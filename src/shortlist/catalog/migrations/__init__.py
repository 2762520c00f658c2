"""Alembic's steps from any earlier catalog database to `catalog.schema`."""

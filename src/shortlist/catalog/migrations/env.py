"""What Alembic runs: the steps, on the connection that `catalog.migrate` opened."""

from alembic import context

from shortlist.catalog.schema import metadata

# Importing this outside of Alembic (as a search for doctests does) runs nothing.
if config := getattr(context, "config", None):
    context.configure(connection=config.attributes["connection"], target_metadata=metadata)
    context.run_migrations()

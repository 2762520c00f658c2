"""The order of a slate: scoring candidates, then the business rules (flows 2 and 8)."""

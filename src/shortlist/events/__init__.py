"""What users did: the event schema, the collector that accepts events, and the log (flow 3)."""

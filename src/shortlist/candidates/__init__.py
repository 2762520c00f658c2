"""Where the items of a slate come from: one file per candidate source (flow 8)."""

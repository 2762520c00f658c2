"""From history to a model: data sets, fitting, choosing, and offline evaluation (flow 5)."""

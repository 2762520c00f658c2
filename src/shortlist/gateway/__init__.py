"""The HTTP border: who asks, how often, and in what words errors are told (flow 1)."""

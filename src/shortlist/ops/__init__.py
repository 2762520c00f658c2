"""What operators see: metrics, logs and health."""

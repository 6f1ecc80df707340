"""Other libraries' definitions and metrics."""

"""Studies: declarations of questions, models, methods and metrics."""

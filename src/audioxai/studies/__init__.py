"""The only rooms' junction: each study joins datasets, models, explainers, metrics and the store."""

"""Leaves that every other room may use: errors, seeding, progress, the store, statistics."""

"""Figures and tables for a thesis: pages with captions, as PDF, PNG, LaTeX and CSV, from stored results alone."""

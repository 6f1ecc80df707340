"""Renderers, each of any document: Markdown, text for a terminal, HTML, LaTeX with CSV, and JSON."""

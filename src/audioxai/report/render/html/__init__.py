"""Documents as one HTML file that needs nothing else."""

from audioxai.report.render.html.page import Unanswered, render, write_page, write_report

__all__ = ["Unanswered", "render", "write_page", "write_report"]

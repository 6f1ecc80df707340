"""The report: one HTML file that holds everything it shows and plays, and opens from a disk without a network.

The page has a player of its own, on the Web Audio API, rather than a library's: a switch between original, kept and
removed has to happen within one running clip, and two maps have to share one playhead, which takes less code than
asking it of a waveform player; and nothing has to be fetched before a report can be written.
"""

from audioxai.report.html.document import Answer, Document, Picture
from audioxai.report.html.gallery import GalleryClip, Parts, Sounds
from audioxai.report.html.page import LARGEST_BYTES, render, write_report

__all__ = ["LARGEST_BYTES", "Answer", "Document", "GalleryClip", "Parts", "Picture", "Sounds", "render", "write_report"]

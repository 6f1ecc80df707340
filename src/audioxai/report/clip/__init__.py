"""One explained clip as a page that needs nothing else, and the index of a folder of them.

``page_of`` makes the page, ``frame_of`` puts it into a notebook, ``write_page`` writes it with its sounds, picture,
facts and arrays, and ``index_of`` makes the table of many.
"""

from audioxai.report.clip.files import PAGE, write_page
from audioxai.report.clip.index import Entry, index_of
from audioxai.report.clip.page import frame_of, page_of

__all__ = ["PAGE", "Entry", "frame_of", "index_of", "page_of", "write_page"]

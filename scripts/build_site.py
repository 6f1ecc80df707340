"""Build the documentation site: stage the pages, build them strictly, check what was built.

Pages are written for two readers: on a plain view of the repository their links lead to files, on the site to pages.
Staging copies ``docs/``, the notebooks with their outputs and the pages of the repository's root into ``build/pages``
and makes links that leave ``docs/`` lead to what was staged: a page, or the file itself as text.
"""

import argparse
import base64
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import jupytext

from audioxai.utils.commands import OneLineParser, run_command
from audioxai.utils.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
CONFIGURATION = ROOT / "zensical.toml"
# Pages outside docs/ → their place on the site.
ELSEWHERE = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security.md"}
NOTEBOOKS = ("explain_one_clip", "evaluate_methods", "audit_shortcuts")
# Where files that are no pages lie on the site, as text that a browser shows.
FILES = "repository"
LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
# Where links to the README lead.
HOME = "index.md"


def configuration() -> dict[str, Any]:
    """The site's configuration."""
    project: dict[str, Any] = tomllib.loads(CONFIGURATION.read_text(encoding="utf-8"))["project"]
    return project


def pages_in(nav: Sequence[dict[str, Any]]) -> list[str]:
    """Every page that the navigation names, in its order."""
    found: list[str] = []
    for entry in nav:
        for target in entry.values():
            found += [target] if isinstance(target, str) else pages_in(target)
    return found


def pages() -> dict[str, Path]:
    """Place on the site → the file that a page is made from."""
    docs = {path.relative_to(ROOT / "docs").as_posix(): path for path in sorted(ROOT.glob("docs/**/*.md"))}
    notebooks = {f"notebooks/{name}.md": ROOT / "notebooks" / f"{name}.ipynb" for name in NOTEBOOKS}
    return {**docs, **{place: ROOT / name for name, place in ELSEWHERE.items()}, **notebooks}


def place_of(path: Path) -> str:
    """Where a file of the repository lies on the site.

    Raises
    ------
    UserError
        If there is no such file.
    """
    if not path.is_file():
        raise UserError(f"link to {path}, which is no file; name an existing one")
    name = path.relative_to(ROOT).as_posix()
    own = {source: place for place, source in pages().items()}
    if name == "README.md":
        return HOME
    if path in own:
        return own[path]
    if name.startswith("docs/"):
        return name.removeprefix("docs/")
    return f"{FILES}/{name}.txt"


def relinked(text: str, source: Path, place: str) -> str:
    """A page's text with links that lead where their targets lie on the site."""

    def target(found: re.Match[str]) -> str:
        leads_to = place_of((source.parent / unquote(found[1])).resolve())
        return os.path.relpath(leads_to, PurePosixPath(place).parent) + (found[2] or "")

    parts, last = [], 0
    for code in CODE.finditer(text):
        parts += [LINK.sub(target, text[last : code.start()]), code[0]]
        last = code.end()
    return "".join([*parts, LINK.sub(target, text[last:])])


def stage(folder: Path) -> None:
    """Write the site's pages, pictures and linked files into an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", folder, ignore=shutil.ignore_patterns("*.md"))
    for place, source in pages().items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".ipynb":
            linked = notebook_page(source, place, folder)
        else:
            linked = relinked(source.read_text(encoding="utf-8"), source, place)
        (folder / place).write_text(linked, encoding="utf-8")
        for found in re.findall(rf"\]\((?:\.\./)*({FILES}/[^)#]+)", linked):
            (folder / found).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / found.removeprefix(f"{FILES}/").removesuffix(".txt"), folder / found)


def notebook_page(source: Path, place: str, folder: Path) -> str:
    """A notebook with its outputs as Markdown; its pictures are written beside the page."""
    lines: list[str] = []
    for number, cell in enumerate(jupytext.read(source)["cells"]):
        if cell["cell_type"] == "markdown":
            lines += [relinked(cell["source"], source, place), ""]
            continue
        lines += ["```python", cell["source"], "```", ""]
        for order, output in enumerate(cell["outputs"]):
            picture = (folder / place).with_name(f"{source.stem}_{number}_{order}.png")
            lines += [*_shown(output, picture), ""]
    return "\n".join(lines)


def _shown(output: dict[str, Any], picture: Path) -> list[str]:
    """One output of a cell as Markdown."""
    data = output.get("data", {})
    if "image/png" in data:
        picture.write_bytes(base64.b64decode(data["image/png"]))
        return [f"![Figure that the cell above draws]({picture.name})"]
    if "text/html" in data:
        # Without empty lines, which would end the block.
        return ["<div>", *(line for line in data["text/html"].splitlines() if line.strip()), "</div>"]
    return ["```text", (output.get("text") or data.get("text/plain", "")).rstrip(), "```"]


class _Page(HTMLParser):
    """What a built page refers to, loads, and can be referred to by."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") not in ("canonical", "prev", "next") and "href" in given:
            self.loaded.append(given["href"])
        elif tag in ("script", "img", "iframe", "audio", "source") and "src" in given:
            self.loaded.append(given["src"])


def faults(site: Path) -> Iterator[str]:
    """Links to nothing, anchors that are not there, and whatever a page loads from elsewhere, one sentence each."""
    read = {path: _Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, page in read.items():
        if path.name == "404.html":  # is served from any place, so its links begin at the root
            continue
        for link in page.loaded:
            if urlsplit(link).netloc:
                yield f"{path.relative_to(site)} loads {link}"
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                yield f"{path.relative_to(site)} links to {link}, which is not there"
            elif parts.fragment and target in read and unquote(parts.fragment) not in read[target].anchors:
                yield f"{path.relative_to(site)} links to {link}, which has no such anchor"


def main(argv: list[str]) -> None:
    """Build the site into ``build/site``."""
    parser = OneLineParser(description=(__doc__ or "").splitlines()[0], formatter_class=argparse.HelpFormatter)
    parser.parse_args(argv)
    found = configuration()
    stage(ROOT / found["docs_dir"])
    site = ROOT / found["site_dir"]
    shutil.rmtree(site, ignore_errors=True)
    program = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file", str(CONFIGURATION)]
    built = subprocess.run(program, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(built.stdout, end="")
    # What docstrings lack is logged and fails no build by itself.
    if built.returncode or "griffe: " in built.stdout:
        raise UserError("the site was not built without a warning; mend what is named above")
    wrong = list(faults(site))
    if wrong:
        raise UserError(f"the built site has {len(wrong)} faults: {'; '.join(wrong)}")
    print(f"{len(list(site.rglob('*.html')))} pages without a fault; open {site / 'index.html'}")


if __name__ == "__main__":
    raise SystemExit(run_command(main))

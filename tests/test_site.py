"""The documentation site: every page in the navigation, links that lead somewhere, and faults that are found.

To add a page: write ``docs/NAME.md`` and give it one line in ``nav`` of ``zensical.toml``.
"""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from test_documented_commands import exists

from audioxai.utils.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
HEADING = re.compile(r"^#{1,6} (.*)$", re.MULTILINE)


@pytest.fixture(scope="module")
def site() -> ModuleType:
    """The script that builds it."""
    spec = importlib.util.spec_from_file_location("build_site", ROOT / "scripts" / "build_site.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_navigation_names_every_page_once(site: ModuleType) -> None:
    named = site.pages_in(site.configuration()["nav"])
    assert len(named) == len(set(named))
    missing = sorted(set(site.pages()) - set(named))
    assert not missing, f"add a line for each of {missing} to nav in zensical.toml"
    assert not set(named) - set(site.pages()), "nav in zensical.toml names pages that are not there"
    assert all(path.is_file() for path in site.pages().values())


def test_the_reference_names_what_is_there() -> None:
    for page in (ROOT / "docs" / "reference").glob("*.md"):
        names = re.findall(r"^::: ([\w.]+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert names
        assert [name for name in names if not exists(name)] == []


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub and the site make them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text)}


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.stem)
def test_anchors_in_links_are_headings(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!http)([^)#]*\.md)?#([^)]+)\)", page.read_text(encoding="utf-8")):
        assert anchor in anchors(page.parent / target if target else page), f"{target}#{anchor}"


def test_staging_makes_links_lead_to_what_is_on_the_site(site: ModuleType, tmp_path: Path) -> None:
    site.stage(tmp_path / "pages")
    metrics = (tmp_path / "pages" / "metrics.md").read_text(encoding="utf-8")
    assert "](repository/tests/metrics/test_docs.py.txt)" in metrics
    assert (tmp_path / "pages" / "repository" / "tests" / "metrics" / "test_docs.py.txt").is_file()
    assert "](notebooks/audit_shortcuts.md)" in (tmp_path / "pages" / "index.md").read_text(encoding="utf-8")
    assert "](how-to/method.md)" in (tmp_path / "pages" / "contributing.md").read_text(encoding="utf-8")
    notebook = (tmp_path / "pages" / "notebooks" / "audit_shortcuts.md").read_text(encoding="utf-8")
    pictures = re.findall(r"\]\((\w+\.png)\)", notebook)
    assert len(pictures) == 2
    assert all((tmp_path / "pages" / "notebooks" / name).is_file() for name in pictures)


def test_code_is_left_as_it_is(site: ModuleType) -> None:
    page = ROOT / "docs" / "index.md"
    text = "[a](start.md) `[a](nowhere.md)`\n```text\n[b](nowhere.md)\n```\n[c](../README.md)\n"
    assert site.relinked(text, page, "index.md") == text.replace("../README.md", "index.md")
    with pytest.raises(UserError, match=r"nowhere\.md"):
        site.relinked("[a](nowhere.md)", page, "index.md")


def test_faults_of_a_built_site_are_found(site: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<h1 id="top">A</h1><a href="b.html#there">b</a><a href="#top">a</a>')
    (tmp_path / "b.html").write_text('<p id="there"></p><a href="https://example.org">out</a>')
    assert list(site.faults(tmp_path)) == []
    (tmp_path / "c.html").write_text(
        '<a href="no.html"></a><a href="b.html#no"></a><img src="no.png"><script src="https://example.org/a.js"></script>'
    )
    found = list(site.faults(tmp_path))
    assert len(found) == 4
    assert [fault for fault in found if "loads https://example.org/a.js" in fault]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("zensical") is None, reason="needs requirements-docs.txt")
def test_the_site_is_built_without_a_warning() -> None:
    command = [sys.executable, "scripts/build_site.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "without a fault" in done.stdout

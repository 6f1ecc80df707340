"""Commands and names in the documentation exist: scripts, sub-commands, their options, make targets, dotted names."""

import importlib
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from audioxai import cli
from audioxai.studies.command import declared_studies

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
NAME = re.compile(r"^audioxai(?:\.\w+)+")
PROGRAMS = ("python", "audioxai", "make", "jupyter")
ASSIGNMENT = re.compile(r"^[A-Z_]+=")
YAML_STUDY = {"name": "s", "data": {"folder": "sounds"}, "model": {"architecture": "small_cnn"}}


def written(text: str) -> list[str]:
    """Lines of shell blocks, and code within sentences, of a page."""
    blocks = [line for block in BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    return [*blocks, *(" ".join(code.split()) for code in INLINE.findall(BLOCK.sub("", text)))]


def commands(page: Path) -> list[list[str]]:
    """Every command of a page as words, without the environment, what follows a pipe, and comments."""
    found = []
    for line in written(page.read_text(encoding="utf-8")):
        wrapped = re.match(r'eval "\$\((.*)\)"', line)
        line = wrapped.group(1) if wrapped else re.sub(r"<[^>]*>", "FOLDER", line)
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|>;&()")
        lexer.whitespace_split, lexer.commenters = True, "#"
        try:
            words = list(lexer)
        except ValueError:  # code that is no shell: a lone quotation mark
            continue
        while words and ASSIGNMENT.match(words[0]):
            words.pop(0)
        end = next((place for place, word in enumerate(words) if set(word) <= set("|>;&")), len(words))
        if words and words[0] in PROGRAMS and end > 1:
            found.append(words[:end])
    return found


FOUND = [(page, words) for page in PAGES for words in commands(page)]
COMMANDS = [pytest.param(words, id=f"{page.stem}-{' '.join(words[:3])}") for page, words in FOUND]


def options(words: list[str]) -> set[str]:
    """Options among words, without values."""
    return {word.split("=")[0] for word in words if re.match(r"--\w", word)}


def unknown(words: list[str], answer_help: Callable[[], str]) -> set[str]:
    """Options that the help does not name."""
    known = set(re.findall(r"--[\w-]+", answer_help()))
    return options(words) - known - {"--help", "--debug", "--version", "--print-config"}


@pytest.fixture
def help_of(capsys: pytest.CaptureFixture[str]) -> Callable[[Callable[[list[str]], None], list[str]], str]:
    """What a command prints for ``--help``."""

    def ask(main: Callable[[list[str]], None], words: list[str]) -> str:
        capsys.readouterr()
        # jsonargparse exits after its help, OneLineParser's commands may return.
        with suppress(SystemExit):
            main([*words, "--help"])
        return capsys.readouterr().out

    return ask


@lru_cache
def make_targets() -> frozenset[str]:
    """Phony targets of the Makefile."""
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return frozenset(phony.split())


def test_commands_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Run `audioxai run my.yaml` or `make demo AUDIO=fsdd`, not `x`.\n"
        "```bash\nA=<folder with b/> python scripts/a.py \\\n    --b 1  # why\npip install c\n```\n"
    )
    assert commands(page) == [
        ["python", "scripts/a.py", "--b", "1"],
        ["audioxai", "run", "my.yaml"],
        ["make", "demo", "AUDIO=fsdd"],
    ]
    assert {"scripts/run_demo.py", "run", "demo", "notebook"} & {words[1] for _, words in FOUND}


@pytest.mark.parametrize("words", COMMANDS)
def test_a_documented_command_exists(
    words: list[str],
    help_of: Callable[[Callable[[list[str]], None], list[str]], str],
    script: Callable[[str], ModuleType],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    program, *rest = words
    if program == "make":
        assert {word for word in rest if "=" not in word} <= make_targets()
        assert {word.split("=")[0] for word in rest if "=" in word} <= {"AUDIO", "IMAGES", "PROFILE", "PYTHON"}
    elif program == "jupyter":
        assert (ROOT / rest[1]).is_file()
    elif program == "python":
        module = script(rest[0])
        main = getattr(module, "run", None) if rest[0].startswith("experiments") else None
        main = main or getattr(module, "main", None)
        main = module.run if main is None or rest[0].endswith("run_demo.py") else main
        assert not unknown(rest, lambda: help_of(main, []))
    elif rest[0] not in ("--help", "--version"):
        assert rest[0] in cli.COMMANDS
        words_of_help = rest[:1]
        if rest[0] == "run":
            if rest[1].endswith(".yaml"):
                (tmp_path / rest[1]).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / rest[1]).write_text(yaml.safe_dump(YAML_STUDY))
            name = "objective1" if rest[1].isupper() else rest[1]
            assert name.endswith(".yaml") or name in declared_studies()
            words_of_help = ["run", name]
        assert not unknown(rest, lambda: help_of(cli.dispatch, words_of_help) + help_of(cli.dispatch, rest[:1]))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_documented_names_exist(page: Path) -> None:
    for name in sorted(names_of(page)):
        assert exists(name), name


def names_of(page: Path) -> Iterator[str]:
    """Dotted names of the package within sentences; the changelog's old names are left out."""
    text = page.read_text(encoding="utf-8")
    for code in INLINE.findall(re.sub(r"^- `[\w.]+` is `[\w.]+`\.$", "", text, flags=re.MULTILINE)):
        found = NAME.match(code)
        if found:
            yield found.group()


def exists(name: str) -> bool:
    """Whether the name is a module or something in one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        assert target.startswith("http") or (page.parent / target).exists(), target

"""Each room knows only what it may know; nothing is ever unpickled."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "audioxai"
MIDDLE = ("datasets", "models", "xai_methods", "metrics")

# What explaining any sound by any model is made of, and the verbs.
EXPLAINING = ("clips", "trust", "binding", "explanation")
VERBS = ("api", "evaluation", "explain_files", "example")

# Room → rooms of this package that it may import, itself always among them.
BASE = {"core", "registry", "utils", "domains", "baselines", "fused"}
ALLOWED = {
    "utils": set(),
    "core": {"utils"},
    "registry": {"utils"},
    "cuda_graphs": set(),
    "fused": {"core", "cuda_graphs", "utils"},
    "domains": {"core", "utils"},
    "baselines": {"core", "utils", "domains"},
    "listening": {"core", "utils", "domains", "baselines"},
    "statistics": {"utils"},
    **dict.fromkeys(MIDDLE, BASE),
    "compat": {*BASE, "metrics"},
    "testing": {*BASE, "metrics", "xai_methods"},
    "results": {"core", "registry", "utils", "domains", "listening"},
    "report": {"core", "registry", "utils", "domains", "listening", "statistics", "results"},
    "experiment": {*BASE, "listening", "statistics", "results", *MIDDLE},
    "studies": {
        *BASE,
        "listening",
        "statistics",
        "results",
        "report",
        "experiment",
        "binding",
        "api",
        "compat",
        *MIDDLE,
    },
    "clips": {"utils", "datasets"},
    "trust": {*BASE, "metrics", "xai_methods"},
    "binding": {*BASE, "models", "xai_methods"},
    "explanation": {*BASE, "listening", "report", "models", "xai_methods", "trust"},
    "api": {*BASE, "models", *EXPLAINING},
    "evaluation": {*BASE, "experiment", *MIDDLE, *EXPLAINING, "api"},
    "explain_files": {*BASE, "report", "models", "xai_methods", *EXPLAINING, "api"},
    "example": {"utils", "models", "experiment"},
    "app": {*BASE, "datasets", "models", "report", "xai_methods", *EXPLAINING, "api", "example"},
    "cli": {
        *BASE,
        "listening",
        "statistics",
        "results",
        "report",
        "experiment",
        "studies",
        "clips",
        "app",
        *MIDDLE,
        *VERBS,
    },
    "__init__": set(),
}
TESTS_AND_TOOLS_ONLY = ("espeakng_loader", "sklearn", "librosa", "skimage", "quantus", "pickle", "dill", "joblib")
HEAVY_COMPANIONS = ("torchaudio", "torchvision")


class _AtRunTime(ast.NodeTransformer):
    """Leaves out the body of ``if TYPE_CHECKING:``."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return node.orelse
        return self.generic_visit(node)


def imports(source: str, package: str) -> set[str]:
    """Full dotted names of everything that a module imports, inside functions too; ``package`` is where it is.

    What is imported for type checkers alone is no dependency and left out.
    """
    found: set[str] = set()
    for node in ast.walk(_AtRunTime().visit(ast.parse(source))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*parts, *([node.module] if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call):
            # importlib.import_module("x") and __import__("x").
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and node.args and isinstance(node.args[0], ast.Constant):
                found.add(str(node.args[0].value))
    return found


def loads_pickles(source: str) -> set[str]:
    """Calls that unpickle what they read, or may; ``torch.load(weights_only=True)`` makes nothing but tensors."""
    found: set[str] = set()
    tree = ast.parse(source)
    safe = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call) and _of_tensors_only(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in safe:
            name = ast.unparse(node)
            if name in ("torch.load", "torch.save", "torch.jit.load") or node.attr in ("read_pickle", "to_pickle"):
                found.add(name)
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
            found.add("allow_pickle")
        if isinstance(node, ast.ImportFrom) and node.module == "torch":
            found |= {f"torch.{alias.name}" for alias in node.names if alias.name in ("load", "save")}
    return found


def _of_tensors_only(call: ast.Call) -> bool:
    return ast.unparse(call.func) == "torch.load" and any(
        one.arg == "weights_only" and ast.unparse(one.value) == "True" for one in call.keywords
    )


def python_files(*folders: str) -> list[Path]:
    """Python files under folders of the repository."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def room_of(path: Path) -> str:
    """First part of a module's place in the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def rooms_imported(path: Path) -> Iterator[str]:
    """Rooms of this package that one of its modules imports."""
    package = ".".join(path.relative_to(PACKAGE.parent).parent.parts)
    for name in imports(path.read_text(encoding="utf-8"), package):
        parts = name.split(".")
        if parts[0] == "audioxai":
            yield parts[1] if len(parts) > 1 else "audioxai"


SOURCES = python_files("src")
EVERY_SOURCE = pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE.parent)))


def test_the_whole_package_is_seen() -> None:
    assert {room_of(path) for path in SOURCES} >= {
        "core",
        "domains",
        "baselines",
        "listening",
        "utils",
        "studies",
        "report",
        *MIDDLE,
    }
    assert {room_of(path) for path in SOURCES} <= set(ALLOWED)


@EVERY_SOURCE
def test_a_room_knows_only_what_it_may(path: Path) -> None:
    room = room_of(path)
    assert set(rooms_imported(path)) <= ALLOWED[room] | {room, "__version__"}


@pytest.mark.parametrize("room", MIDDLE)
def test_the_middle_rooms_do_not_know_each_other(room: str) -> None:
    assert not ALLOWED[room] & {*MIDDLE, "studies", "report"}
    known = {other for path in SOURCES if room_of(path) == room for other in rooms_imported(path)}
    assert not known & ({*MIDDLE, "studies", "report"} - {room})
    # Not an accident of an empty room or of a parser that finds nothing.
    assert "utils" in known


def test_studies_join_the_rooms() -> None:
    known = {other for path in SOURCES if room_of(path) == "studies" for other in rooms_imported(path)}
    assert known >= {"datasets", "metrics", "models", "experiment", "results", "report", "utils"}


@EVERY_SOURCE
def test_the_package_needs_only_its_own_dependencies(path: Path) -> None:
    tops = {name.split(".")[0] for name in imports(path.read_text(encoding="utf-8"), "audioxai")}
    # The adapter to Quantus loads it where it is used; it is an extra.
    allowed = {"quantus"} if room_of(path) == "compat" else set()
    assert not tops & ({*TESTS_AND_TOOLS_ONLY, *HEAVY_COMPANIONS} - allowed)


@pytest.mark.parametrize(
    "path", python_files("src", "scripts", "experiments", "benchmarks"), ids=lambda path: str(path.relative_to(ROOT))
)
def test_nothing_is_ever_unpickled(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    tops = {name.split(".")[0] for name in imports(source, "audioxai")}
    # TorchScript's own reader makes nothing but what its language has.
    allowed = {"torch.jit.load"} if path.name == "torch_files.py" else set()
    assert not loads_pickles(source) - allowed
    assert not tops & {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pickle", {"pickle"}),
        ("import os.path as p, torchaudio.functional", {"os.path", "torchaudio.functional"}),
        ("from audioxai import metrics", {"audioxai.metrics"}),
        ("from audioxai.metrics.engine import x, y", {"audioxai.metrics.engine.x", "audioxai.metrics.engine.y"}),
        ("from . import engine", {"audioxai.models.engine"}),
        ("from ..metrics import engine", {"audioxai.metrics.engine"}),
        ("def f():\n    from audioxai.metrics import engine", {"audioxai.metrics.engine"}),
        ("import importlib\nimportlib.import_module('librosa')", {"importlib", "librosa"}),
        ("'import pickle'", set()),
        ("if TYPE_CHECKING:\n    import a\nelse:\n    import b\nif ready:\n    import c", {"b", "c"}),
    ],
)
def test_the_parser_finds_every_kind_of_import(source: str, found: set[str]) -> None:
    assert imports(source, "audioxai.models") == found


@pytest.mark.parametrize(
    "source",
    [
        "torch.load('a')",
        "torch.load('a', weights_only=False)",
        "torch.load('a', weights_only=wanted)",
        "torch.load('a', weights_only=True), torch.load",
        "torch.jit.load('a')",
        "f = torch.load",
        "from torch import load",
        "pandas.read_pickle('a')",
        "numpy.load('a', allow_pickle=True)",
        "numpy.load('a', allow_pickle=wanted)",
    ],
)
def test_the_parser_finds_every_kind_of_unpickling(source: str) -> None:
    assert loads_pickles(source)
    assert not loads_pickles("numpy.load('a', allow_pickle=False)\njson.load(file)\nload_file('a')")
    assert not loads_pickles("torch.load('a', weights_only=True)")

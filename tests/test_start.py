"""Importing the package and asking for help load no heavy package, so that both take a fraction of a second."""

import os
import subprocess
import sys

import pytest

HEAVY = ("torch", "numpy", "scipy", "pandas", "pyarrow", "captum", "matplotlib", "jsonargparse", "soundfile", "tqdm")
LIGHT = ("commands", "configuration", "errors", "files", "hardware", "progress", "provenance", "seeding")
PROGRAMS = {
    "package": "import audioxai; assert audioxai.__version__",
    "registry": "import audioxai.registry",
    "utils": "".join(f"import audioxai.utils.{module};" for module in LIGHT),
    "options": "from audioxai.utils.configuration import option; option(1, 'a')",
    "help": "from audioxai.cli import dispatch; dispatch(['--help'])",
    "version": "from audioxai.cli import dispatch; dispatch(['--version'])",
}


def loaded(program: str) -> list[str]:
    """Heavy packages that a program loads in a fresh process."""
    asked = f"{program}\nimport sys; print(); print(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_heavy_is_loaded(program: str) -> None:
    assert loaded(PROGRAMS[program]) == []


def test_a_clip_is_explained_without_what_tables_and_statistics_need() -> None:
    assert not {"pandas", "scipy", "pyarrow", "captum"} & set(loaded("import audioxai.explain_files"))


def test_what_is_heavy_would_be_seen() -> None:
    assert "torch" in loaded("from audioxai.models import build")


def test_a_backend_of_a_notebook_that_is_not_there_stops_nothing() -> None:
    """``!audioxai`` in a hosted notebook inherits an MPLBACKEND that names a module of the notebook's own."""
    environment = os.environ | {"MPLBACKEND": "module://no_such_module.backend_inline"}
    program = "import audioxai.xai_methods, audioxai.report.canvas; from audioxai import cli; cli.dispatch(['--help'])"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage" in done.stdout

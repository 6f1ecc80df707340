"""What a release rests on: one version everywhere, bounds that were tested, workflows whose actions are pinned."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import audioxai

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"^[\w./-]+@(v\d+\.\d+\.\d+|[0-9a-f]{40})$")


def release(version: str) -> tuple[int, ...]:
    """Numbers of a version, without zeros at its end."""
    numbers = [int(part) for part in version.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def test_the_version_is_one() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"]
    assert audioxai.__version__ == cited
    assert re.fullmatch(r"\d+\.\d+\.\d+", cited)


def test_the_oldest_versions_are_the_bounds() -> None:
    lines = (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8").splitlines()
    tested = dict(line.split("==") for line in lines if not line.startswith("#"))
    bounds = dict(dependency.split(">=") for dependency in PROJECT["dependencies"])
    assert {name: release(version) for name, version in tested.items()} == {
        name: release(version) for name, version in bounds.items()
    }


def test_every_python_that_is_promised_is_tested() -> None:
    promised = {found[1] for entry in PROJECT["classifiers"] if (found := re.search(r":: (3\.\d+)$", entry))}
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))["jobs"]
    assert promised == set(jobs["wheel"]["strategy"]["matrix"]["python"])
    assert promised == {one["python"] for one in jobs["test"]["strategy"]["matrix"]["include"]}
    assert PROJECT["requires-python"] == f">={min(promised, key=release)}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_pin_their_actions_and_ask_for_little(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 90
        for step in job["steps"]:
            assert "uses" not in step or PINNED.match(step["uses"]), step
            for command in re.findall(r"^make (\w+)", step.get("run", ""), re.MULTILINE):
                assert re.search(rf"^{command}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_publishing_needs_no_secret() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    assert "id-token: write" in text
    assert "secrets." not in text

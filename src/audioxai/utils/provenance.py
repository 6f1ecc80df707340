"""Which code made a result."""

import subprocess
from pathlib import Path


def git_commit(folder: Path) -> str:
    """Commit of the checkout, ``unknown`` outside one, marked ``-dirty`` where files differ from it."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"

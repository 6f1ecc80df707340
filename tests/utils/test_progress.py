"""Progress bars: with the time left on a terminal, silent elsewhere."""

import io

import pytest

from audioxai.utils.progress import bar, track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def used() -> None:
    assert list(track(range(3), 3, "counting")) == [0, 1, 2]
    with bar(10, "working", "step") as progress:
        progress.update(5)
        progress.refresh()


def test_nobody_watching_is_told_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    used()
    assert capsys.readouterr() == ("", "")


def test_a_terminal_is_told_how_far_it_is_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    used()
    assert "counting:" in terminal.getvalue()
    assert "working:  50%" in terminal.getvalue()
    assert "5/10 [00:00<00:00" in terminal.getvalue()

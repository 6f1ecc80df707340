"""Progress: a bar with the time left in a terminal, a line every half minute elsewhere."""

import io

import pytest

from audioxai.utils import progress
from audioxai.utils.progress import Lines, bar, duration, track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def used() -> None:
    assert list(track(range(3), None, "counting")) == [0, 1, 2]
    with bar(10, "working", "step", initial=2) as shown:
        shown.set_postfix_str("first")
        shown.update(3)


def test_short_work_prints_nothing_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    used()
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_how_far_it_is_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TQDM_MININTERVAL", "0")
    used()
    with bar(10, "again", "step") as shown:
        shown.update(5)
        shown.set_postfix_str("half")  # draws
    assert "counting:" in terminal.getvalue()
    assert "working:  20%" in terminal.getvalue()
    assert "again:  50%" in terminal.getvalue()
    assert "5/10 [00:00<00:00" in terminal.getvalue()


def test_a_line_every_half_minute_with_the_time_left(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Lines(3_000, "metrics", "pass", clock=clock) as lines:
        for _ in range(12):
            clock.now += 10
            lines.update(100)
        assert capsys.readouterr().err.splitlines() == [
            "metrics: 10 % (300/3,000 passes), about 4 min left",  # 30 s for 300: 270 s
            "metrics: 20 % (600/3,000 passes), about 4 min left",
            "metrics: 30 % (900/3,000 passes), about 4 min left",  # 210 s
            "metrics: 40 % (1,200/3,000 passes), about 3 min left",
        ]
        clock.now += 5
        lines.update(1_800)
        assert capsys.readouterr().err == ""
    assert capsys.readouterr().err == "metrics: 3,000/3,000 passes in 2 min\n"


def test_what_was_done_earlier_does_not_count_for_the_time_left(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Lines(100, "training", "step", initial=50, clock=clock)
    lines.set_postfix_str("validation 91.00%")
    clock.now += 40
    lines.update(10)  # 40 more at 4 s each
    assert capsys.readouterr().err == "training: 60 % (60/100 steps), about 3 min left, validation 91.00%\n"


def test_an_unknown_total_is_a_count(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(None, "copying", "file", clock=clock)
    clock.now += 90
    lines.update(1_234)
    assert capsys.readouterr().err == "copying: 1,234 files, 2 min so far\n"


def test_work_of_less_than_half_a_minute_ends_without_a_word(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Lines(2, "reading", "file", clock=clock) as lines:
        clock.now += progress.LINE_INTERVAL_S - 0.1
        lines.update(2)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (59, "59 s"), (60, "1 min"), (200, "3 min"), (3_599, "1 h 0 min"), (7_500, "2 h 5 min")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words

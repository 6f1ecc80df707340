"""Command lines: exit codes, and one line for what the user can mend."""

import errno
import os
import subprocess
import sys

import pytest
from safetensors import SafetensorError

from audioxai.utils.commands import OneLineParser, run_command, storage_errors
from audioxai.utils.errors import UserError
from audioxai.utils.files import replacing, write_text


def raising(error):
    def main(_):
        raise error

    return main


def test_success_is_zero_and_main_gets_the_arguments():
    seen = []
    assert run_command(seen.append, ["--a", "b"]) == 0
    assert run_command(seen.append, ["--a", "--debug", "b"]) == 0
    assert seen == [["--a", "b"], ["--a", "b"]]


def test_arguments_come_from_the_process_by_default(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "argv", ["script.py", "--x"])
    assert run_command(seen.append) == 0
    assert seen == [["--x"]]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (UserError("size is -1;\n  give more\n"), "error: size is -1; give more\n"),
        (OSError(errno.ENOSPC, "No space left on device", "/a/b"), "error: no space is left for /a/b;"),
        (OSError(errno.ENOSPC, "No space left on device"), "error: no space is left for the disk;"),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/a/b"), "error: no space is left for /a/b;"),
        (PermissionError(errno.EACCES, "Permission denied", "/a/b"), "error: no permission to use /a/b (Permission"),
        (OSError(errno.EROFS, "Read-only file system", "/a/b"), "error: no permission to use /a/b (Read-only"),
        (FileExistsError(errno.EEXIST, "File exists", "/a/b"), "error: /a/b is a file where a folder is needed"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/a/b"), "error: /a/b is a file where a folder is"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_two(error, told, capsys):
    assert run_command(raising(error), []) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(told)
    assert err.count("\n") == 1
    with pytest.raises(type(error)) as caught:
        run_command(raising(error), ["--debug"])
    assert caught.value is error


def test_an_interruption_says_how_to_go_on(capsys):
    assert run_command(raising(KeyboardInterrupt()), []) == 130
    assert capsys.readouterr().err == "interrupted; run the same command again to go on where it stopped\n"
    with pytest.raises(KeyboardInterrupt):
        run_command(raising(KeyboardInterrupt()), ["--debug"])


@pytest.mark.parametrize("error", [ValueError("defect"), KeyError("x"), FileNotFoundError(2, "No such file", "/a")])
def test_defects_keep_their_traceback(error):
    with pytest.raises(type(error)) as caught:
        run_command(raising(error), [])
    assert caught.value is error


def test_the_users_error_keeps_its_cause():
    error = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(UserError, match="no space is left for /x/y") as caught, storage_errors("/x/y"):
        raise error
    assert caught.value.__cause__ is error


def test_a_full_disk_inside_safetensors_is_one_line(tmp_path, capsys):
    path = tmp_path / "model.safetensors"

    def main(_):
        with replacing(path):
            raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    assert run_command(main, []) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: no space is left for {path};")
    assert error.count("\n") == 1


def test_a_file_where_a_folder_is_needed_is_one_line(tmp_path, capsys):
    (tmp_path / "results").write_text("in the way")
    for place in ("results/a.txt", "results/b/a.txt"):
        assert run_command(lambda _, place=place: write_text(tmp_path / place, "x"), []) == 2
        error = capsys.readouterr().err
        assert f"{tmp_path}/results" in error
        assert error.count("\n") == 1
    assert (tmp_path / "results").read_text() == "in the way"


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_must_not_be_written_is_one_line(tmp_path, capsys):
    tmp_path.chmod(0o500)
    try:
        assert run_command(lambda _: write_text(tmp_path / "a.txt", "x"), []) == 2
    finally:
        tmp_path.chmod(0o700)
    assert f"no permission to use {tmp_path}" in capsys.readouterr().err


def test_parsers_complain_in_one_line(capsys):
    parser = OneLineParser()
    parser.add_argument("--count", type=int)
    for argv in (["--count", "x"], ["--count"], ["--unknown"]):
        with pytest.raises(UserError, match="see --help"):
            parser.parse_args(argv)
    assert capsys.readouterr().err == ""


def test_exit_codes_reach_the_shell():
    program = (
        "import sys; from audioxai.utils.commands import run_command; from audioxai.utils.errors import UserError\n"
        "def main(argv): raise {'user': UserError('mend this'), 'defect': ValueError('defect')}[argv[0]]\n"
        "raise SystemExit(run_command(main))"
    )

    def run(*arguments):
        command = [sys.executable, "-c", program, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    assert run("user") == (2, "error: mend this\n")
    code, error = run("user", "--debug")
    assert code == 1
    assert error.startswith("Traceback")
    assert error.endswith("UserError: mend this\n")
    code, error = run("defect")
    assert code == 1
    assert error.startswith("Traceback")

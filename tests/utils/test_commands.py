"""Command lines: exit codes, and one line for bad input."""

import argparse
import errno
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from safetensors import SafetensorError

from audioxai.utils.commands import OneLineParser, completion_script, run_command, storage_errors
from audioxai.utils.configuration import option, parser_of
from audioxai.utils.errors import UserError
from audioxai.utils.files import replacing, write_text


def raising(error):
    def main(_):
        raise error

    return main


def test_success_is_zero_and_main_gets_the_arguments():
    seen: list[list[str]] = []
    assert run_command(seen.append, ["--a", "b"]) == 0
    assert run_command(seen.append, ["--a", "--debug", "b"]) == 0
    assert seen == [["--a", "b"], ["--a", "b"]]


def test_arguments_come_from_the_process_by_default(monkeypatch):
    seen: list[list[str]] = []
    monkeypatch.setattr(sys, "argv", ["script.py", "--x"])
    assert run_command(seen.append) == 0
    assert seen == [["--x"]]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UserError("size is -1;\n  give more\n"), "error: size is -1; give more\n"),
        (OSError(errno.ENOSPC, "No space left on device", "/a/b"), "error: no space is left for /a/b;"),
        (OSError(errno.ENOSPC, "No space left on device"), "error: no space is left for the disk;"),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/a/b"), "error: no space is left for /a/b;"),
        (PermissionError(errno.EACCES, "Permission denied", "/a/b"), "error: no permission to use /a/b (Permission"),
        (OSError(errno.EROFS, "Read-only file system", "/a/b"), "error: no permission to use /a/b (Read-only"),
        (FileExistsError(errno.EEXIST, "File exists", "/a/b"), "error: /a/b is a file where a folder is needed"),
        (UserError("name is \x1b[31m\u202e\udce9"), "error: name is \\x1b[31m\\u202e\\udce9\n"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/a/b"), "error: /a/b is a file where a folder is"),
    ],
)
def test_bad_input_is_one_line_and_two(error, expected, capsys):
    assert run_command(raising(error), []) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(expected)
    assert err.count("\n") == 1
    with pytest.raises(type(error)) as caught:
        run_command(raising(error), ["--debug"])
    assert caught.value is error


def test_a_long_complaint_loses_its_middle(capsys):
    assert run_command(raising(UserError(f"begins {'x' * 1_000_000} ends")), []) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: begins x")
    assert error.endswith("x ends\n")
    assert len(error) < 1_100


ELSEWHERE = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        ELSEWHERE | {"LC_ALL": "C"},
        ELSEWHERE | {"LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii:strict"},
    ],
)
def test_output_in_another_encoding_shows_what_it_can(environment):
    program = (
        "import os, sys; from audioxai.utils.commands import run_command\n"
        "from audioxai.utils.errors import UserError\n"
        "def main(argv):\n"
        "    print('A \\u2212 \\xfc', os.fsdecode(b'jos\\xe9'))\n"
        "    raise UserError('\\u2212 \\U0001f4a5')\n"
        "raise SystemExit(run_command(main))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | environment, capture_output=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout.startswith(b"A ")
    assert done.stdout.count(b"\n") == 1
    assert done.stderr.startswith(b"error: ")
    assert done.stderr.count(b"\n") == 1


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
    with pytest.raises(UserError, match="no space is left for /x/y") as caught, storage_errors(Path("/x/y")):
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
        assert run_command(lambda names: write_text(tmp_path / names[0], "x"), [place]) == 2
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


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_stops_early_is_no_error(lines):
    program = (
        "from audioxai.utils.commands import run_command\n"
        f"def main(argv): [print('a line of text') for _ in range({lines})]\n"
        "raise SystemExit(run_command(main))"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_another_broken_pipe_is_a_defect():
    with pytest.raises(BrokenPipeError):
        run_command(raising(BrokenPipeError(errno.EPIPE, "Broken pipe")), [])


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
        "def main(argv): raise {'user': UserError('correct this'), 'defect': ValueError('defect')}[argv[0]]\n"
        "raise SystemExit(run_command(main))"
    )

    def run(*arguments):
        command = [sys.executable, "-c", program, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    assert run("user") == (2, "error: correct this\n")
    code, error = run("user", "--debug")
    assert code == 1
    assert error.startswith("Traceback")
    assert error.endswith("UserError: correct this\n")
    code, error = run("defect")
    assert code == 1
    assert error.startswith("Traceback")


@dataclass(frozen=True)
class Options:
    profile: str = option("quick", "how much")
    samples: int = option(3, "how many")


def parsers():
    """Of a program with plain parsers, a parser of a configuration, and a command with subcommands."""
    explain = OneLineParser(description="Explain a clip; it's one.")
    explain.add_argument("--device", choices=("auto", "cpu", "cuda"), help="where")
    explain.add_argument("--out", help="a folder")
    return {
        "explain": explain,
        "run": argparse.ArgumentParser(),
        "run first": parser_of(Options, Options()),
        "run second": argparse.ArgumentParser(description="Another."),
    }


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ([""], {"explain", "run"}),
        (["e"], {"explain"}),
        (["explain", "--d"], {"--device"}),
        (["explain", "--device", ""], {"auto", "cpu", "cuda"}),
        (["explain", "--device", "c"], {"cpu", "cuda"}),
        (["explain", "--device", "cpu", "--o"], {"--out"}),
        (["run", ""], {"first", "second"}),
        (["run", "first", "--s"], {"--samples"}),
        (["run", "second", "--s"], set()),
    ],
)
def test_bash_completes_commands_options_and_choices(typed, offered, tmp_path):
    pytest.importorskip("shtab")
    script = tmp_path / "completion.bash"
    script.write_text(completion_script("my-tool", parsers(), "bash"))
    program = (
        'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        'function=$(complete -p my-tool | sed "s/.*-F \\([^ ]*\\) .*/\\1/"); $function; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    command = ["bash", "-c", program, "bash", str(script), "my-tool", *typed]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == offered


def test_zsh_gets_a_script_of_its_own():
    pytest.importorskip("shtab")
    script = completion_script("my-tool", parsers(), "zsh")
    assert script.startswith("#compdef my-tool")
    assert "--device[where]:device:(auto cpu cuda)" in script


def test_without_shtab_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(UserError, match="needs shtab; install audioxai"):
        completion_script("my-tool", parsers(), "bash")


@pytest.mark.parametrize(
    ("number", "said"), [(errno.EFBIG, "ulimit -f"), (errno.ENAMETOOLONG, "shorter"), (errno.ELOOP, "cannot be used")]
)
def test_limits_of_files_are_one_line(number, said, capsys):
    assert run_command(raising(OSError(number, os.strerror(number), "some/file")), []) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "some/file" in error
    assert error.count("\n") == 1


def test_a_limit_of_the_file_size_is_one_line(tmp_path):
    """As ``ulimit -f`` sets it; the file is not left half-written."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from pathlib import Path; from audioxai.utils.commands import run_command\n"
        "from audioxai.utils.files import write_text\n"
        "sys.exit(run_command(lambda _: write_text(Path('big.txt'), 'x' * 100_000)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "ulimit -f" in done.stderr
    assert os.listdir(tmp_path) == []


def test_names_in_messages_do_not_steer_the_terminal(capsys):
    assert run_command(raising(UserError("no \x1b[31mred\x1b[0m, no \udce9, but é")), []) == 2
    assert capsys.readouterr().err == "error: no \\x1b[31mred\\x1b[0m, no \\udce9, but é\n"

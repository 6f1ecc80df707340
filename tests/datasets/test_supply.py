"""The installed command's way to datasets: the script's own, stand-ins made by the script in another process."""

import pytest
from helpers.dataset_files import write_speakers

from audioxai import cli
from audioxai.datasets import PROJECT_FOLDER, fingerprint, supply
from audioxai.utils.commands import run_command


@pytest.fixture
def prepare(monkeypatch, capfd):
    """Exit code, output and errors of the command and of the processes that it starts."""
    monkeypatch.delenv("AUDIO_XAI_DATA", raising=False)

    def run(*arguments):
        code = run_command(cli.dispatch, ["prepare", *map(str, arguments)])
        return code, *capfd.readouterr()

    return run


def test_the_command_does_what_the_script_does(prepare, tmp_path):
    given = write_speakers(tmp_path / "given", ["01", "04"])
    told = prepare("--datasets", "audio_mnist", "--root", tmp_path / "prepared", "--source", given)
    assert told == (0, f"audio_mnist: {tmp_path}/prepared/audio_mnist, 20 of 30000 files, real\n", "")
    assert fingerprint("audio_mnist", tmp_path / "prepared" / "audio_mnist") == fingerprint("audio_mnist", given)


def test_a_stand_in_is_made_by_the_script_in_a_process_of_its_own(prepare, preparing, tmp_path):
    told = prepare("--datasets", "digits_8x8", "--root", tmp_path / "prepared")
    assert told == (0, f"digits_8x8: {tmp_path}/prepared/digits_8x8, 4 files, STAND-IN for mnist\n", "")
    preparing.make_digits_8x8(tmp_path)
    for file in (tmp_path / "digits_8x8").iterdir():
        assert (tmp_path / "prepared" / "digits_8x8" / file.name).read_bytes() == file.read_bytes()


def test_what_the_script_cannot_make_is_one_line_here_and_one_there(prepare, tmp_path):
    (tmp_path / "prepared" / "digits_8x8").mkdir(parents=True)
    (tmp_path / "prepared" / "digits_8x8" / "notes.txt").write_text("mine")
    code, said, complaint = prepare("--datasets", "digits_8x8", "--root", tmp_path / "prepared")
    assert (code, said) == (2, "")
    there, here = complaint.splitlines()
    assert "notes.txt" in there
    assert here == "error: the stand-in digits_8x8 could not be made for the reason above; mend it and try again"


def test_without_a_checkout_stand_ins_are_refused_and_data_go_to_the_current_folder(prepare, tmp_path, monkeypatch):
    assert supply.home_folder() == PROJECT_FOLDER / "data"
    monkeypatch.setattr(supply, "PROJECT_FOLDER", tmp_path / "site-packages")
    monkeypatch.chdir(tmp_path)
    assert supply.home_folder() == tmp_path / "data"
    code, said, complaint = prepare("--datasets", "spoken_digits", "--root", tmp_path / "prepared")
    assert (code, said) == (2, "")
    assert complaint.startswith("error: spoken_digits is made by scripts/prepare_datasets.py in a checkout")
    assert complaint.count("\n") == 1

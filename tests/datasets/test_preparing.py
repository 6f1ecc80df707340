"""The script: from a folder, an archive, an address or nothing to a dataset in its place."""

import errno
import hashlib
import os
import shutil
import tarfile
import zipfile

import pytest
import torch
from helpers.dataset_files import write_images, write_speakers

from audioxai.datasets import archives, audio_mnist, fingerprint, load, mnist, preparation
from audioxai.datasets.download import DownloadFailed
from audioxai.datasets.sources import PublicArchive, PublicFiles
from audioxai.utils.commands import run_command
from audioxai.utils.errors import UserError

SPEAKERS = ["01", "04", "05"]


@pytest.fixture
def repository(tmp_path):
    """A checkout as GitHub packs it: a top folder, other files around the recordings."""
    top = write_speakers(tmp_path / "given" / "AudioMNIST-master", SPEAKERS)
    (top / "README.md").write_text("about")
    (top / ".git").mkdir()
    return top


def zipped(folder, file):
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder.parent))
    return file


def tarred(folder, file):
    with tarfile.open(file, "w:gz") as archive:
        archive.add(folder, folder.name)
    return file


def times(folder):
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.rglob("*")}


@pytest.mark.parametrize("inner", [".", "data", ".."])
def test_from_a_folder_at_any_level(run_prepare, repository, tmp_path, inner):
    source = (repository / inner).resolve()
    code, said, _ = run_prepare("--datasets", "audio_mnist", "--root", tmp_path / "target", "--source", source)
    assert (code, said) == (0, f"audio_mnist: {tmp_path}/target/audio_mnist, 30 of 30000 files, real\n")
    assert fingerprint("audio_mnist", tmp_path / "target" / "audio_mnist") == fingerprint("audio_mnist", repository)
    assert (repository / "data" / "01" / "0_01_0.wav").is_file()
    assert not (tmp_path / "target" / "audio_mnist" / ".git").exists()


@pytest.mark.parametrize(("pack", "inner"), [(zipped, "."), (tarred, "."), (zipped, "data"), (tarred, "data")])
def test_from_an_archive(run_prepare, repository, tmp_path, pack, inner):
    archive = pack((repository / inner).resolve(), tmp_path / "archive")
    code, _, _ = run_prepare("--datasets", "audio_mnist", "--root", tmp_path / "target", "--source", archive)
    assert code == 0
    root = tmp_path / "target" / "audio_mnist"
    assert fingerprint("audio_mnist", root) == fingerprint("audio_mnist", repository)
    assert hashlib.sha256(archive.read_bytes()).hexdigest() in (root / "manifest.json").read_text()
    assert [entry.name for entry in (tmp_path / "target").iterdir()] == ["audio_mnist"]


def test_from_an_address(run_prepare, repository, tmp_path, server):
    server.content = zipped(repository, tmp_path / "archive").read_bytes()
    server.breaks_after = [1000]
    code, _, said = run_prepare("--datasets", "audio_mnist", "--root", tmp_path / "target", "--source", server.url)
    assert (code, said) == (0, "")
    assert server.asked_ranges == [None, "bytes=1000-"]
    assert len(load("audio_mnist", root=tmp_path / "target" / "audio_mnist")) == 30
    assert [entry.name for entry in (tmp_path / "target").iterdir()] == ["audio_mnist"]


def test_from_a_file_address(run_prepare, repository, tmp_path):
    archive = zipped(repository, tmp_path / "an archive.zip")
    code, _, _ = run_prepare("--datasets", "audio_mnist", "--root", tmp_path / "target", "--source", archive.as_uri())
    assert code == 0


def test_again_does_nothing(run_prepare, repository, tmp_path, monkeypatch):
    arguments = ("--datasets", "audio_mnist", "--root", tmp_path / "target")
    _, first, _ = run_prepare(*arguments, "--source", repository)
    before = times(tmp_path / "target")
    shutil.rmtree(repository)
    monkeypatch.setattr("urllib.request.urlopen", None)
    assert run_prepare(*arguments) == (0, first, "")
    assert run_prepare(*arguments, "--source", repository) == (0, first, "")
    assert times(tmp_path / "target") == before


@pytest.mark.parametrize("broken", [KeyboardInterrupt, OSError(errno.ENOSPC, "full", "somewhere")])
def test_half_unpacked_is_never_in_place(run_prepare, repository, tmp_path, monkeypatch, broken):
    archive = zipped(repository, tmp_path / "archive")
    original = shutil.copyfileobj
    written: list[None] = []

    def stop(source, target, *length):
        if len(written) == 15:
            raise broken
        original(source, target, *length)
        written.append(None)

    monkeypatch.setattr("shutil.copyfileobj", stop)
    arguments = ("--datasets", "audio_mnist", "--root", tmp_path / "target", "--source", archive)
    code, said, complaint = run_prepare(*arguments)
    assert (code, said) == ((130 if broken is KeyboardInterrupt else 2), "")
    assert len(complaint.splitlines()) == 1
    assert list((tmp_path / "target").iterdir()) == []
    monkeypatch.undo()
    assert run_prepare(*arguments)[0] == 0


def test_an_evil_archive_leaves_nothing(run_prepare, repository, tmp_path):
    archive = zipped(repository, tmp_path / "archive")
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr("../../evil", "evil")
    code, _, said = run_prepare("--datasets", "audio_mnist", "--root", tmp_path / "target", "--source", archive)
    assert code == 2
    assert "../../evil" in said
    assert list((tmp_path / "target").iterdir()) == []
    assert not list(tmp_path.rglob("evil"))


def test_the_users_files_are_not_overwritten(run_prepare, repository, tmp_path):
    own = tmp_path / "target" / "audio_mnist" / "notes.txt"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    code, _, said = run_prepare("--datasets", "audio_mnist", "--root", tmp_path / "target", "--source", repository)
    assert code == 2
    assert "notes.txt" in said
    assert own.read_text() == "mine"


def own_mnist(monkeypatch, folder, mirrors=()):
    """Small files taken for MNIST's: their checksums are expected instead of its."""
    write_images(folder)
    files = {name: folder / f"{name}.gz" for name in mnist.FILES}
    zipped = {name: hashlib.md5(file.read_bytes()).hexdigest() for name, file in files.items()}
    content = {name: hashlib.md5(mnist.read_content(file)).hexdigest() for name, file in files.items()}
    monkeypatch.setattr(mnist, "PUBLIC", PublicFiles(mirrors, zipped, content))


def test_mnist_from_a_folder_is_checked(run_prepare, tmp_path, monkeypatch):
    arguments = ("--datasets", "mnist", "--root", tmp_path / "target", "--source", tmp_path / "given")
    write_images(tmp_path / "given")
    code, _, said = run_prepare(*arguments)
    assert code == 2
    assert "6bbc9ace898e44ae57da46a324031adb" in said
    assert list((tmp_path / "target").iterdir()) == []
    own_mnist(monkeypatch, tmp_path / "given")
    assert run_prepare(*arguments)[0] == 0


def test_mnist_is_taken_from_the_mirror_that_has_it(run_prepare, tmp_path, monkeypatch):
    mirrors = ("http://first.invalid/", "http://second.invalid/", "http://third.invalid/")
    own_mnist(monkeypatch, tmp_path / "given", mirrors)
    asked = []

    def fetch(url, target, checksum):
        asked.append(url)
        if "first" in url:
            raise DownloadFailed("gone")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tmp_path / "given" / target.name, target)

    monkeypatch.setattr(preparation, "download", fetch)
    preparation.install_from_public("mnist", tmp_path / "target", frozenset(mirrors[:2]))
    assert [url.split("/")[2] for url in asked] == ["first.invalid", "second.invalid"] * 4
    assert len(load("mnist", root=tmp_path / "target" / "mnist")) == 150
    assert [entry.name for entry in (tmp_path / "target").iterdir()] == ["mnist"]


def test_a_public_archive_has_to_bring_all_recordings(run_prepare, repository, tmp_path, monkeypatch, server):
    server.content = zipped(repository, tmp_path / "archive").read_bytes()
    arguments = ("--datasets", "audio_mnist", "--root", tmp_path / "target")
    monkeypatch.setattr(audio_mnist, "PUBLIC", PublicArchive(server.url, 31, 1000))
    code, _, said = run_prepare(*arguments)
    assert code == 2
    assert "30 recordings instead of 31" in said
    assert list((tmp_path / "target").iterdir()) == []
    monkeypatch.setattr(audio_mnist, "PUBLIC", PublicArchive(server.url, 30, 1000))
    assert run_prepare(*arguments)[0] == 0


def test_room_is_checked_before_downloading(run_prepare, tmp_path, monkeypatch, server):
    monkeypatch.setattr(audio_mnist, "PUBLIC", PublicArchive(server.url, 30, 10**18))
    code, _, said = run_prepare("--datasets", "audio_mnist", "--root", tmp_path / "target")
    assert code == 2
    assert "1000000000.00 GB are needed" in said
    assert server.asked_ranges == []


def test_the_demo_takes_stand_ins_when_nothing_answers(run_prepare, preparing, tmp_path, monkeypatch):
    def speak(root):
        archives.put_in_place(write_speakers(tmp_path / "made", SPEAKERS), root / "spoken_digits")

    monkeypatch.setattr("audioxai.datasets.supply.reachable", lambda _: frozenset())
    monkeypatch.setattr(preparing, "make_spoken_digits", speak)
    (tmp_path / "target").mkdir()
    code, said, _ = run_prepare("--for-demo", "--root", tmp_path / "target")
    assert code == 0
    lines = said.splitlines()
    assert f"spoken_digits: {tmp_path}/target/spoken_digits, 30 files, STAND-IN for audio_mnist" in lines
    assert f"digits_8x8: {tmp_path}/target/digits_8x8, 4 files, STAND-IN for mnist" in lines
    monkeypatch.setattr(preparing, "make_spoken_digits", None)
    before = times(tmp_path / "target")
    assert run_prepare("--for-demo", "--root", tmp_path / "target")[0] == 0
    assert times(tmp_path / "target") == before


def test_the_demo_prefers_what_is_there_and_fails_for_what_was_asked_for_by_name(
    run_prepare, preparing, repository, tmp_path, monkeypatch
):
    monkeypatch.setattr("audioxai.datasets.supply.reachable", lambda _: frozenset())
    root = tmp_path / "target"
    write_speakers(root / "audio_mnist_az", SPEAKERS)
    write_images(root / "mnist")
    code, said, _ = run_prepare("--for-demo", "--root", root)
    assert code == 0
    assert [line.split(":")[0] for line in said.splitlines()] == ["audio_mnist_az", "mnist"]
    code, _, said = run_prepare("--for-demo", "--audio", "fsdd", "--root", root)
    assert code == 2
    assert "fsdd cannot be downloaded" in said


def test_the_8x8_digits_are_reproducible_balanced_and_recognisable(preparing, tmp_path):
    for name in ("one", "two"):
        preparing.make_digits_8x8(tmp_path / name)
    one, two = tmp_path / "one" / "digits_8x8", tmp_path / "two" / "digits_8x8"
    assert all((one / file.name).read_bytes() == file.read_bytes() for file in two.iterdir())
    dataset = load("digits_8x8", root=one)
    assert dataset.stand_in_for == "mnist"
    assert len(dataset) == 1797
    for part in ("train", "validation", "test"):
        counts = dataset.part(part).labels.bincount(minlength=10)
        assert counts.min() >= 0.8 * counts.float().mean()
    # Nearest class mean: the right image is with its label.
    train, test = dataset.part("train"), dataset.part("test")
    means = [train.inputs[train.labels == label].mean(0).flatten() for label in range(10)]
    distances = torch.cdist(test.inputs.flatten(1), torch.stack(means))
    guesses = distances.argmin(1).tolist()
    assert sum(guess == label for guess, label in zip(guesses, test.labels, strict=True)) > 0.85 * len(test)


def test_enlarging_keeps_a_gradient(preparing):
    import numpy as np

    ramp = np.broadcast_to(np.arange(8.0) * 20, (1, 8, 8))
    enlarged = preparing.resized(ramp, 28)
    expected = np.clip((np.arange(28) + 0.5) * 8 / 28 - 0.5, 0, 7) * 20
    np.testing.assert_allclose(enlarged[0, 13], expected, atol=0.51)
    np.testing.assert_allclose(preparing.resized(ramp.transpose(0, 2, 1), 28)[0], enlarged[0].T)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--datasets", "mnits"], "no data set 'mnits', did you mean 'mnist'"),
        (["--datasets", "audio_mnist_az"], "no public address"),
        (["--source", "x"], "--datasets audio_mnist"),
        (["--datasets", "mnist", "--source", "/no/such/place"], "/no/such/place"),
        (["--datasets", "mnist", "fsdd", "--source", "x"], "one data set"),
        (["--for-demo", "--audio", "mnist"], "audio data sets; choose from auto"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run_prepare, tmp_path, arguments, said):
    code, output, complaint = run_prepare(*arguments, "--root", tmp_path / "target")
    assert (code, output) == (2, "")
    assert complaint.startswith("error: ")
    assert len(complaint.splitlines()) == 1
    assert said in complaint
    assert "Traceback" not in complaint


def test_a_missing_data_root_is_one_line(preparing, monkeypatch, capsys):
    monkeypatch.setenv("AUDIO_XAI_DATA", "/no/such/place")
    assert run_command(preparing.main, ["--datasets", "mnist"]) == 2
    assert capsys.readouterr().err == (
        "error: AUDIO_XAI_DATA is /no/such/place, which is not a folder; correct it or unset it\n"
    )


def test_a_target_that_must_not_be_written_is_one_line(run_prepare, repository, tmp_path, monkeypatch):
    def forbid(self, *_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr("pathlib.Path.mkdir", forbid)
    code, _, said = run_prepare("--datasets", "audio_mnist", "--root", tmp_path / "target", "--source", repository)
    assert code == 2
    assert f"no permission to use {tmp_path}/target" in said


def test_debug_lets_the_error_through(preparing):
    with pytest.raises(UserError):
        run_command(preparing.main, ["--datasets", "mnits", "--debug"])


def test_an_interruption_exits_130(capsys):
    def interrupted(_):
        raise KeyboardInterrupt

    assert run_command(interrupted, []) == 130
    assert "again" in capsys.readouterr().err


def test_a_defect_keeps_its_traceback():
    def defective(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_command(defective, [])


def folder_with(tmp_path, make):
    top = write_speakers(tmp_path / "given" / "AudioMNIST-master", SPEAKERS)
    make(top / "data" / "01")
    return top


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda folder: os.mkfifo(folder / "0_01_9.wav"), id="a pipe"),
        pytest.param(lambda folder: (folder / "0_01_9.wav").symlink_to("/dev/zero"), id="a device"),
        pytest.param(lambda folder: (folder / "0_01_9.wav").symlink_to("nothing"), id="a link to nothing"),
        pytest.param(lambda folder: (folder / "0_01_9.wav").symlink_to("0_01_9.wav"), id="a link to itself"),
    ],
)
def test_what_is_no_file_is_named_before_anything_is_copied(run_prepare, tmp_path, make):
    source = folder_with(tmp_path, make)
    code, _, said = run_prepare("--datasets", "audio_mnist", "--root", tmp_path / "target", "--source", source)
    assert code == 2
    assert "0_01_9.wav is no regular file" in said
    assert not (tmp_path / "target" / "audio_mnist").exists()


def test_links_that_lead_upwards_are_followed_once(run_prepare, tmp_path):
    def loops(folder):
        (folder / "one").symlink_to("..")
        (folder / "two").symlink_to("..")

    source = folder_with(tmp_path, loops)
    code, _, said = run_prepare("--datasets", "audio_mnist", "--root", tmp_path / "target", "--source", source)
    assert (code, said) == (0, "")
    assert len(list((tmp_path / "target" / "audio_mnist").rglob("*.wav"))) == 30


@pytest.mark.parametrize("pack", [zipped, tarred, lambda folder, _: folder])
def test_two_data_sets_in_one_source_are_told_apart_by_the_user(run_prepare, repository, tmp_path, pack):
    shutil.copytree(repository, repository.parent / "another")
    source = pack(repository.parent, tmp_path / "archive")
    code, _, said = run_prepare("--datasets", "audio_mnist", "--root", tmp_path / "target", "--source", source)
    assert code == 2
    assert "AudioMNIST-master and in" in said or "another and in" in said
    assert not (tmp_path / "target" / "audio_mnist").exists()


@pytest.mark.parametrize("name", ["manifest.json", ".manifest.json.tmp"])
def test_a_folder_where_the_manifest_goes(run_prepare, repository, tmp_path, name):
    (repository / name).mkdir()
    (repository / name / "x").touch()
    source = zipped(repository, tmp_path / "archive.zip")
    code, _, said = run_prepare("--datasets", "audio_mnist", "--root", tmp_path / "target", "--source", source)
    if name.startswith("."):
        assert (code, said) == (0, "")
    else:
        assert code == 2
        assert "manifest" in said
        assert not (tmp_path / "target" / "audio_mnist").exists()

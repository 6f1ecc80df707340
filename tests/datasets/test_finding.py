"""Where datasets are looked for, and what is said when they are not there."""

import pytest
from helpers.dataset_files import write_images, write_speakers, write_tone

from audioxai.datasets import DATASETS, PREFERENCES, find_root, load, resolve
from audioxai.utils.errors import UserError


@pytest.fixture
def home(tmp_path):
    """An empty project: the placeholders of a fresh clone are there and hold nothing."""
    for name in DATASETS:
        (tmp_path / "home" / "data" / name).mkdir(parents=True)
        (tmp_path / "home" / "data" / name / ".gitkeep").touch()
    return tmp_path / "home"


def test_placeholders_and_half_datasets_are_not_found(home):
    data = home / "data"
    (data / "audio_mnist" / "data" / "01").mkdir(parents=True)
    (data / "audio_mnist" / "data" / "audioMNIST_meta.txt").write_text("{}")
    (data / "fsdd" / "recordings").mkdir()
    write_images(data / "mnist")
    (data / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    assert [find_root(name, {}, home) for name in DATASETS] == [None] * len(DATASETS)


def test_the_variable_comes_before_the_project(home, tmp_path):
    own = write_images(home / "data" / "mnist")
    environ = {"AUDIO_XAI_DATA": str(tmp_path / "elsewhere")}
    (tmp_path / "elsewhere").mkdir()
    assert find_root("mnist", environ, home) == own
    other = write_images(tmp_path / "elsewhere" / "mnist")
    assert find_root("mnist", environ, home) == other
    assert find_root("mnist", {"AUDIO_XAI_DATA": ""}, home) == own


@pytest.mark.parametrize(
    ("name", "lacks"),
    [
        ("fsdd", r"recordings/\{digit\}_\{speaker\}_\{index\}\.wav"),
        ("audio_mnist", r"data/\{speaker\}/\{digit\}_"),
        ("mnist", "t10k-labels-idx1-ubyte.gz"),
        ("speech_commands", "for each of down, go"),
    ],
)
def test_a_folder_that_is_not_recognised_is_never_passed_over_for_another(home, tmp_path, name, lacks):
    own = tmp_path / "elsewhere" / name
    own.mkdir(parents=True)
    environ = {"AUDIO_XAI_DATA": str(own.parent)}
    assert find_root(name, environ, home) is None
    (own / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=f"elsewhere/{name} is not recognised as data set {name}: it lacks .*{lacks}"):
        find_root(name, environ, home)
    # In the project's folder it is named as soon as the data set is asked for.
    own.rename(home / "data" / "own")
    (home / "data" / name / "notes.txt").write_text("mine")
    assert find_root(name, {}, home) is None
    with pytest.raises(UserError, match=f"data/{name} is not recognised"):
        resolve(name, DATASETS[name].modality, {}, home)


def test_a_missing_data_root_is_an_error(home):
    with pytest.raises(UserError, match="AUDIO_XAI_DATA is /no/such/place"):
        find_root("mnist", {"AUDIO_XAI_DATA": "/no/such/place"}, home)


def test_auto_takes_the_best_that_is_there(home):
    write_speakers(home / "data" / "spoken_digits", ["01"])
    assert resolve("auto", "audio", {}, home) == "spoken_digits"
    write_tone(home / "data" / "fsdd" / "recordings" / "0_theo_0.wav")
    assert resolve("auto", "audio", {}, home) == "fsdd"
    write_speakers(home / "data" / "audio_mnist_az", ["01"])
    assert resolve("auto", "audio", {}, home) == "audio_mnist_az"
    write_speakers(home / "data" / "audio_mnist", ["01"])
    assert resolve("auto", "audio", {}, home) == "audio_mnist"
    assert resolve("fsdd", "audio", {}, home) == "fsdd"


@pytest.mark.parametrize(
    ("wanted", "modality", "said"),
    [
        ("auto", "image", r"prepare_datasets\.py"),
        ("mnits", "image", "no data set 'mnits', did you mean 'mnist'"),
        ("fsdd", "audio", r"prepare_datasets\.py --datasets fsdd.*AUDIO_XAI_DATA"),
        ("audio_mnist_az", "audio", "data/audio_mnist_az.*AUDIO_XAI_DATA"),
        ("mnist", "audio", "image, not audio"),
    ],
)
def test_what_cannot_be_resolved_says_what_to_do(home, wanted, modality, said):
    with pytest.raises(UserError, match=said):
        resolve(wanted, modality, {}, home)


def test_a_root_that_is_not_the_dataset_is_refused(tmp_path):
    with pytest.raises(UserError, match="does not hold data set fsdd"):
        load("fsdd", root=tmp_path)


def test_stand_ins_say_so():
    stand_ins = {name: entry.stand_in_for for name, entry in DATASETS.items() if entry.stand_in_for}
    assert stand_ins == {"digits_8x8": "mnist", "spoken_digits": "audio_mnist"}


def test_entries_say_everything_about_a_data_set():
    for name, entry in DATASETS.items():
        source = entry.make()
        assert (source.name, source.modality) == (name, entry.modality)
        if name != "audio_folder":
            assert (source.audio_format() is None) == (entry.modality == "image")
        assert all((entry.label, entry.description, entry.source, entry.licence))
    assert {PREFERENCES[kind][0] for kind in PREFERENCES} == {"audio_mnist", "mnist"}
    assert set(PREFERENCES["audio"]) | set(PREFERENCES["image"]) <= set(DATASETS)

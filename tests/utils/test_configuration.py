"""Configurations: profile, then file, then options; what is not known is refused in one sentence."""

from dataclasses import dataclass, field

import pytest
import yaml

from audioxai.utils.configuration import parse, save_yaml
from audioxai.utils.errors import UserError


def option(default):
    return field(default=default, metadata={"help": "what it does"})


@dataclass(frozen=True)
class Study:
    profile: str = option("quick")
    sizes: tuple[int, ...] = option((28, 64))
    methods: tuple[str, ...] = option(("one",))
    samples: int = option(24)
    rate: float = option(0.5)
    limit: int | None = option(100)
    place: str = option("results")


PROFILES = {"quick": Study(), "long": Study(profile="long", samples=500, sizes=(28, 64, 128), limit=None)}


def parsed(*argv):
    return parse(Study, PROFILES, "What it is.", ["python script.py"], list(argv))


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "study.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def test_the_first_profile_is_the_default():
    assert parsed() == PROFILES["quick"]


def test_a_profile_sets_everything_else():
    assert parsed("--profile", "long") == parsed("--profile=long") == PROFILES["long"]


def test_later_wins_profile_then_file_then_option(file):
    path = file("profile: long\nsamples: 7\nsizes: [1, 2, 3, 4]\n")
    config = parsed("--config", path, "--samples", "9")
    assert config == Study(profile="long", samples=9, sizes=(1, 2, 3, 4), limit=None)
    assert parsed("--config", path).samples == 7
    # Before or behind the file: an option is an option.
    assert parsed("--samples", "9", f"--config={path}") == config
    # The command line's profile beats the file's and brings its own defaults.
    assert parsed("--profile", "quick", "--config", path) == Study(samples=7, sizes=(1, 2, 3, 4))


def test_options_behind_the_file_win_wherever_the_profile_stands(file):
    path = file("samples: 7\n")
    assert parsed("--config", path, "--profile", "long") == Study("long", (28, 64, 128), samples=7, limit=None)


@pytest.mark.parametrize("written", ["[32]", "[32,]", "[32, 48]"])
def test_lists_become_tuples(written, file):
    expected = tuple(yaml.safe_load(written))
    for config in (parsed("--sizes", written), parsed("--config", file(f"sizes: {written}\n"))):
        assert config.sizes == expected
        assert type(config.sizes) is tuple


def test_of_two_files_the_later_wins(file, tmp_path):
    first = file("profile: long\nsamples: 7\n")
    second = tmp_path / "second.yaml"
    second.write_text("samples: 8\n")
    assert parsed("--config", first, "--config", str(second)) == Study("long", (28, 64, 128), samples=8, limit=None)


def test_lists_of_words():
    assert parsed("--methods", "[saliency, occlusion]").methods == ("saliency", "occlusion")


def test_null_means_none(file):
    assert parsed("--limit", "null").limit is None
    assert parsed("--config", file("limit: null\n")).limit is None
    assert parsed("--profile", "long", "--limit", "5").limit == 5


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--profile", "slow"], "profile is 'slow'; choose one of quick, long"),
        (["--profile=slow"], "profile is 'slow'"),
        (["--sample", "3"], "no option or configuration key 'sample'; did you mean samples?"),
        (["--smaples=3"], "did you mean samples?"),
        (["--profil", "long"], "no option or configuration key 'profil'; did you mean profile?"),
        (["--xyzzy", "3"], "choose among profile, sizes"),
        (["--samples", "many"], "samples.*Got value: many"),
        (["--samples", "1.5"], "samples.*Got value: 1.5"),
        (["--samples", "null"], "samples.*None"),
        (["--samples"], "samples: expected one argument"),
        (["--profile"], "profile: expected one argument"),
        (["--config"], "config: expected one argument"),
        (["--sizes", "28"], r"sizes.*a list, written \[a, b\].*28"),
        (["--sizes", "28", "64"], r"sizes.*a list, written \[a, b\]"),
        (["--sizes", "[28, x]"], "sizes.*Got value: x"),
        (["--rate", "[]"], "rate"),
        (["stray"], "unrecognized arguments: stray"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_wrong_options_are_one_sentence(argv, expected, capsys):
    with pytest.raises(UserError, match=expected) as caught:
        parsed(*argv)
    assert "\n" not in str(caught.value)
    assert "<class" not in str(caught.value)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sample: 3\n", "study.yaml: there is no key 'sample', did you mean 'samples'"),
        ("samples: 3\nnested: {a: 1}\n", "'nested"),
        ("samples: three\n", "samples.*three"),
        ("samples: null\n", "samples is null; give it a value"),
        ("sizes: null\n", "sizes is null"),
        ("profile: ''\n", "profile is ''"),
        ("sizes: 28\n", r"sizes.*\[a, b\]"),
        ("sizes: [28.5]\n", "sizes.*28.5"),
        ("sizes: [032, 64]\n", "sizes is '032'; give a whole number"),
        ("samples: '7'\n", "samples is '7'; give a whole number"),
        ("samples: true\n", "samples is True; give a whole number"),
        ("samples: 3\nsamples: 4\n", "line 2 holds the key 'samples' twice"),
        ("place: &a x\nmethods: [*a]\n", r"line 2 holds an alias"),
        ("rate: .nan\n", "rate is '.nan'; give a number"),
        ("rate: 1e999\n", "line 1 holds a number that is too large"),
        (f"samples: {2**63}\n", "line 1 holds a whole number of more than 64 bits"),
        ("samples: !!int 032\n", "line 1 holds a tag"),
        ("".join(f"k{number}: 1\n" for number in range(2_000)), "holds more than 2,000 keys and values"),
        (f"methods: {'[' * 3000}{']' * 3000}\n", "holds more than 20 levels"),
        ("config: study.yaml\n", "there is no key 'config'"),
        ("debug: true\n", "there is no key 'debug'"),
        ("profile: slow\n", "profile is 'slow'"),
        ("profile: [quick]\n", "profile is"),
        ("samples: [\n", "study.yaml are not (plain YAML|UTF-8)"),
        (b"\xff\xfe\x00", "study.yaml are not (plain YAML|UTF-8)"),
        ("- samples\n", "study.yaml hold no options"),
        ("samples\n", "study.yaml hold no options"),
        ("", "study.yaml hold no options"),
    ],
)
def test_wrong_files_are_one_sentence(text, expected, file, capsys):
    with pytest.raises(UserError, match=expected) as caught:
        parsed("--config", file(text))
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("option", ["--print_config", "--print-config", "--print-config=skip_unset"])
def test_a_printed_configuration_reads_back_the_same(option, file, capsys):
    argv = ["--profile", "long", "--samples", "3", "--sizes", "[5]", "--limit", "null", "--place", "größer: #1"]
    with pytest.raises(SystemExit) as caught:
        parsed(*argv, option)
    assert not caught.value.code
    path = file(capsys.readouterr().out)
    assert parsed("--config", path) == parsed(*argv)


def test_help_names_options_defaults_and_examples(capsys):
    with pytest.raises(SystemExit) as caught:
        parsed("--profile", "long", "--help")
    assert not caught.value.code
    text = capsys.readouterr().out
    assert "What it is." in text
    assert "examples:\n  python script.py" in text
    assert "default: 500" in text
    assert all(f"--{name}" in text for name in ("samples", "sizes", "config", "debug"))


def test_saved_yaml_is_plain(tmp_path):
    save_yaml(tmp_path / "a.yaml", {"z": ({"p": tmp_path},), "a": 1})
    assert yaml.safe_load((tmp_path / "a.yaml").read_text()) == {"z": [{"p": str(tmp_path)}], "a": 1}

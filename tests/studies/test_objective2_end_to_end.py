"""Objective 2 from recordings to scores on tiny data, through the scripts themselves; its plan and its materials."""

import io
from contextlib import redirect_stdout
from dataclasses import fields, replace
from pathlib import Path

import pandas as pd
import pytest
import soundfile
import torch

from audioxai import cli
from audioxai.domains import Stft
from audioxai.studies.models import dataset_of
from audioxai.studies.objective2 import command, explanations
from audioxai.studies.objective2.adapted import SHOWN, checks
from audioxai.studies.objective2.config import COMPARED, PROFILES, Objective2Config, options_of
from audioxai.studies.objective2.explanations import material_of
from audioxai.studies.objective2.materials import MATERIALS
from audioxai.studies.objective2.parts import own_cells
from audioxai.studies.objective2.plan import STUDY, Method, cells, methods_of, place_of, told_in
from audioxai.studies.objective2.scores import LOCALISATION, explained, passes_of, units
from audioxai.utils.commands import run_command
from audioxai.utils.configuration import parse
from audioxai.utils.errors import UserError
from audioxai.utils.store import Store
from audioxai.xai_methods.adaptations import ADAPTATIONS

SCRIPTS = ("experiments/objective2/audio_adapted_ig.py", "experiments/objective2/evaluate_adaptations.py")


def tiny(folder: Path, **changes: object) -> Objective2Config:
    small = Objective2Config(
        datasets=("spoken_digits",),
        resolution=32,
        epochs=2,
        limit=None,
        clips_per_seed=4,
        ground_truth_per_seed=3,
        gradients=(8, 12),
        ground_truth_gradients=8,
        references=6,
        curve_steps=3,
        faithfulness_runs=6,
        faithfulness_patches=(1, 8),
        device="cpu",
        threads=1,
        results=str(folder / "results"),
        checkpoints=str(folder / "checkpoints"),
    )
    return replace(small, **changes)


def arguments(config: Objective2Config) -> list[str]:
    written = {field.name: getattr(config, field.name) for field in fields(config)}
    as_text = {name: list(value) if isinstance(value, tuple) else value for name, value in written.items()}
    return [f"--{name}={'null' if value is None else value}" for name, value in as_text.items()]


def rows_of(config: Objective2Config) -> pd.DataFrame:
    shards = [unit.path for cell in cells(config) for unit in units(config, cell)]
    return Store(Path(config.results), STUDY).load_rows(shards)


@pytest.fixture(scope="module")
def finished(data_folder, tmp_path_factory, script) -> tuple[Objective2Config, str]:
    """Configuration and output of a whole run."""
    config = tiny(tmp_path_factory.mktemp("objective2"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIO_XAI_DATA", str(data_folder))
        told = io.StringIO()
        with redirect_stdout(told):
            for path in SCRIPTS:
                assert run_command(script(path).main, arguments(config)) == 0
    return config, told.getvalue()


def test_every_clip_has_a_row_for_every_method_budget_and_metric(finished, data) -> None:
    config, _ = finished
    rows = rows_of(config)
    plain = rows[rows["dataset"] == "spoken_digits"]
    fixed = {"grad_x_level", "energy", "edges", "random", "occlusion"}
    budgets = plain[plain["metric"] == "removal_worst"].groupby("method")["map_passes"].nunique()
    assert set(budgets.index) == set(COMPARED)
    assert set(budgets[budgets == 1].index) == fixed
    counts = plain.groupby(["method", "map_passes", "metric"]).size()
    assert set(counts) == {config.clips_per_seed}
    expected = {"removal_worst", "removal_silence", "removal_noise", "sparseness", "complexity"}
    expected |= {"faithfulness_correlation_1", "faithfulness_correlation_8"}
    of_silence = set(plain.loc[plain["method"] == "silence", "metric"])
    assert of_silence == expected | {"completeness_gap"}
    for material in config.ground_truth:
        part = rows[rows["dataset"] == f"spoken_digits_{material}"]
        assert set(part["metric"]) - {"completeness_gap"} == set(LOCALISATION)
        assert set(part["method"]) == set(COMPARED) - {"pullback"}
    assert set(rows["stand_in_for"]) == {"audio_mnist"}


def test_the_worst_removal_is_the_smaller_score_of_each_clip(finished, data) -> None:
    rows = rows_of(finished[0])
    wide = rows.pivot_table(index=["method", "map_passes", "sample"], columns="metric", values="score")
    smaller = wide[["removal_silence", "removal_noise"]].min(axis=1)
    pd.testing.assert_series_equal(wide["removal_worst"], smaller, check_names=False)


def test_stored_curves_have_the_areas_that_were_scored(finished, data) -> None:
    config, _ = finished
    cell = cells(config)[0]
    unit = next(unit for unit in units(config, cell) if unit.method.name == "silence")
    tensors, _ = unit.place.store.load_tensors(unit.curves)
    assert tensors["curves"].shape == (config.clips_per_seed, 2, 2, config.curve_steps + 1)
    area = torch.trapezoid(tensors["curves"], tensors["fractions"])
    rows = unit.place.store.load_rows([unit.path])
    scored = torch.tensor(rows.loc[rows["metric"] == "removal_silence", "score"].to_numpy())
    torch.testing.assert_close(area[:, 0, 0] - area[:, 0, 1], scored)


def test_a_second_run_explains_and_scores_nothing(finished, data, script, monkeypatch) -> None:
    config, _ = finished
    monkeypatch.setattr(explanations, "_explained", lambda *_: pytest.fail("explained again"))
    before = {path: path.stat().st_mtime_ns for path in Path(config.results).rglob("*.parquet")}
    for path in SCRIPTS:
        assert run_command(script(path).main, arguments(config)) == 0
    assert before == {path: path.stat().st_mtime_ns for path in Path(config.results).rglob("*.parquet")}


def test_the_command_writes_the_answer_again_from_what_is_stored(finished, data, capsys) -> None:
    config, output = finished
    summaries = Path(config.results) / "summaries"
    before = {path.name: path.read_bytes() for path in summaries.glob("objective2.*")}
    for path in summaries.glob("objective2.*"):
        path.unlink()
    assert run_command(cli.dispatch, ["compare", "--objective", "2", *arguments(config)]) == 0
    assert {path.name: path.read_bytes() for path in summaries.glob("objective2.*")} == before
    told, complaints = capsys.readouterr()
    assert complaints == ""
    assert told.startswith("Summary and figures:\n")
    assert told in output


def test_what_was_lost_is_made_again_and_is_the_same(finished, data, script) -> None:
    config, _ = finished
    expected = rows_of(config).drop(columns="seconds")
    lost = [unit for cell in cells(config)[:2] for unit in units(config, cell)][::5]
    for unit in lost:
        unit.path.unlink()
        unit.place.attributions(unit.method).unlink()
    for path in SCRIPTS:
        assert run_command(script(path).main, arguments(config)) == 0
    pd.testing.assert_frame_equal(rows_of(config).drop(columns="seconds"), expected, check_exact=True)


def files_of(config: Objective2Config) -> set[str]:
    results = Path(config.results)
    return {path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file()}


def test_parts_make_what_one_process_makes_and_the_answer_waits_for_all(
    finished, data, script, tmp_path, monkeypatch, capsys
) -> None:
    undivided, _ = finished
    config = tiny(tmp_path)
    for part, left in (("2/2", 1), ("1/2", 0)):
        own = replace(config, part=part)
        for path, stage in zip(SCRIPTS, ("explained", "scored"), strict=True):
            assert run_command(script(path).main, arguments(own)) == 0
            rest = f"{left} other parts are not yet" if left else "so are all others: now run the same command without"
            assert f"Part {part} is {stage}, {rest}" in capsys.readouterr().out
    assert not (Path(config.results) / "summaries").exists()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    monkeypatch.setattr(explanations, "_explained", lambda *_: pytest.fail("explained again"))
    for path in SCRIPTS:
        assert run_command(script(path).main, arguments(config)) == 0
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert files_of(config) == files_of(undivided)
    rows, expected = (rows_of(one).drop(columns="seconds") for one in (config, undivided))
    pd.testing.assert_frame_equal(rows, expected, check_exact=True)


def test_what_is_saved_of_a_part_is_the_configuration_of_the_whole(data, script, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(command, "keep_freed_memory", lambda: None)
    config = tiny(tmp_path)
    command.run([lambda _: None], "", "", arguments(replace(config, part="2/3")))
    saved = Path(config.results) / "configs" / f"{STUDY}-quick.yaml"
    assert parse(Objective2Config, PROFILES, "", (), [f"--config={saved}"]) == config
    assert options_of(replace(config, part="2/3")) == options_of(config)


@pytest.mark.parametrize("parts", [1, 2, 3, 5, 8])
def test_parts_are_disjoint_and_together_everything_and_no_model_is_in_two(parts: int, data, tmp_path) -> None:
    config = tiny(tmp_path, architectures=("small_cnn", "alexnet"), training_seeds=(0, 1))
    planned = cells(config)
    assert own_cells(config) == planned
    shares = [own_cells(replace(config, part=f"{number}/{parts}")) for number in range(1, parts + 1)]
    assert sorted((cell for share in shares for cell in share), key=planned.index) == planned
    assert all(sorted(share, key=planned.index) == share for share in shares)
    models = [{place_of(config, cell).weights for cell in share} for share in shares]
    assert sum(map(len, models)) == len(set.union(*models)) == 8
    recordings = [sum(cell.material == "clips" for cell in share) for share in shares]
    assert max(recordings) - min(recordings) <= 1


def test_a_part_without_a_model_is_refused(data, tmp_path) -> None:
    with pytest.raises(UserError, match="part 3/3 is empty because the study has 2 models; make fewer parts"):
        own_cells(tiny(tmp_path, part="3/3"))


def test_scores_before_explanations_are_refused_with_the_command_that_is_missing(
    data, tmp_path, script, capsys
) -> None:
    assert run_command(script(SCRIPTS[1]).main, arguments(tiny(tmp_path))) == 2
    assert run_command(cli.dispatch, ["compare", "--objective", "2", *arguments(tiny(tmp_path))]) == 2
    complaints = capsys.readouterr().err.splitlines()
    assert len(complaints) == 2
    for complaint in complaints:
        assert "has not been explained in profile quick; run experiments/objective2/audio_adapted_ig.py" in complaint


def test_completeness_and_cost_are_printed_and_three_clips_can_be_heard(finished, data) -> None:
    config, output = finished
    assert "completeness gap" in output
    assert "STAND-IN" in output or "stand_in" in output.lower()
    table = checks(config).set_index(["method", "gradients"])
    assert (table.loc["silence", "passes"] == [8, 12]).all()
    assert table.loc[("idgi", 12), "gap_median"] < 1e-5
    sounds = sorted((Path(config.results) / "visualizations" / STUDY / "sounds").glob("*.flac"))
    assert len(sounds) == 3 * (1 + 2 * len(SHOWN))
    for path in sounds:
        samples, rate_hz = soundfile.read(path)
        assert (rate_hz, len(samples)) == (16_000, 16_000)
        assert abs(samples).max() <= 10 ** (-1 / 20) + 1e-6


def test_passes_are_known_beforehand(finished, data) -> None:
    config, _ = finished
    cell = cells(config)[0]
    unit = next(unit for unit in units(config, cell) if unit.method == Method("silence", 8))
    rows = unit.place.store.load_rows([unit.path])
    by_metric = rows.groupby("metric")["passes"].first()
    levels = by_metric[[name for name in by_metric.index if name.startswith("faithfulness")]].sum()
    assert passes_of(unit) == (by_metric["removal_worst"] + levels) * config.clips_per_seed


def test_models_of_cues_are_told_apart_from_models_of_digits(finished, data) -> None:
    config, _ = finished
    by_material = {cell.material: cell for cell in cells(config)}
    assert by_material["cues"].wanted != by_material["clips"].wanted
    assert by_material["mixtures"].wanted == by_material["clips"].wanted
    assert len(dataset_of(by_material["cues"].wanted).class_names) == 4
    proof = explained(config, by_material["cues"], torch.device("cpu")).metadata["proof"]
    assert set(proof) == {"samples", "with_cue", "without_cue", "follows_swap", "chance"}


@pytest.mark.parametrize("material", MATERIALS)
def test_materials_say_where_relevance_belongs(material: str, data, tmp_path) -> None:
    cell = next(cell for cell in cells(tiny(tmp_path)) if cell.material == material)
    made, recordings = material_of(cell)
    assert len(made.clips) == cell.count
    assert set(made.clips.speakers) <= set(recordings.part("test").speakers)
    if material == "clips":
        assert made.targets is None
        assert made.mask is None
    else:
        assert made.mask is not None
        assert made.targets is not None
        mask = made.mask(cell.domain)
        assert mask.shape == (cell.count, 1, 32, 32)
        assert bool(mask.flatten(1).any(1).all())


def test_names_of_results_tell_all_methods_and_budgets_apart(data, tmp_path, finished) -> None:
    config, _ = finished
    for cell in cells(config):
        place = place_of(config, cell)
        names = [place.attributions(method) for method in methods_of(config, cell)]
        assert len(set(names)) == len(names)
        assert all(path.exists() for path in names)
        assert told_in(cell, Method("silence", 8)) == cell.domain
    assert isinstance(told_in(cells(config)[0], Method("pullback", 8)), Stft)


@pytest.mark.parametrize("profile", PROFILES)
def test_profiles_are_whole_and_tell_themselves(profile: str) -> None:
    config = PROFILES[profile]
    assert config.profile == profile
    assert options_of(config) == f"--profile {profile}"
    assert parse(Objective2Config, PROFILES, "", (), arguments(config)) == config


def test_the_standard_profile_is_as_large_as_was_asked_for() -> None:
    config = PROFILES["standard"]
    assert config.clips_per_seed * len(config.training_seeds) >= 300
    assert len(config.architectures) >= 2
    assert len(config.datasets) >= 2
    assert config.gradients == (16, 32, 64)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"adaptations": ("silent",)}, "adaptation is 'silent'; choose among plain, silence"),
        ({"adaptations": ("bandwise",)}, "adaptation is 'bandwise'"),
        ({"architectures": ("audionet",)}, "architecture is 'audionet'; choose among small_cnn, alexnet"),
        ({"ground_truth": ("clips",)}, "kind of ground truth is 'clips'; choose among cues, mixtures, sequences"),
        ({"gradients": (4,)}, "an adaptation needs at least 8"),
        ({"gradients": (16, 16)}, r"gradients is \[16, 16\]; give at least one, each once"),
        ({"training_seeds": ()}, r"training_seeds is \[\]"),
        ({"clips_per_seed": 0}, "clips_per_seed is 0; it has to be at least 1"),
        ({"threads": 0}, "threads is 0"),
        ({"part": "13/12"}, "part is '13/12'; write which one of how many, from 1/12 to 12/12 of twelve"),
        *(
            ({"part": part}, f"part is '{part}'")
            for part in ("", "x", "3", "/12", "0/12", "1/2/3", "-1/3", " 1/3", "٣/٤")
        ),
    ],
)
def test_options_that_make_no_sense_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        replace(Objective2Config(), **changes)


def test_every_adaptation_of_cells_is_compared() -> None:
    assert set(ADAPTATIONS) - set(COMPARED) == {"bandwise"}

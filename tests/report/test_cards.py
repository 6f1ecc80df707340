"""Model card and data card: every number where it belongs, stand-ins and small groups named."""

from dataclasses import replace

from helpers.synthetic_results import result_set
from helpers.synthetic_rows import MakeRows

from audioxai.report.cards import data_card, model_card
from audioxai.report.document import Bullets, Document, Table
from audioxai.report.render.markdown import markdown


def table(card: Document, name: str) -> list[list[str]]:
    (found,) = [block for block in card.blocks(Table) if block.name == name]
    return [[cell.text for cell in row] for row in found.rows]


def test_every_model_has_its_line_once(rows_with: MakeRows) -> None:
    results = result_set(rows_with(samples=2))
    card = model_card([results, results])
    lines = table(card, "card_accuracy")
    assert len(lines) == len(results.models) == 12
    assert ["fsdd, fold 1", "small_cnn", "32", "0", "99.90 %", "98.00 %", "97.50 %", "1,200"] in lines
    assert table(card, "card_training")[0][4:] == ["12", "61", "0123abc", "aaaaaaaaaaaa"]


def test_groups_are_pooled_over_seeds_with_their_range(rows_with: MakeRows) -> None:
    results = result_set(rows_with(samples=2))
    models = [dict(one) for one in results.models if one["dataset"] == "fsdd"]
    models = [one for one in models if one["resolution"] == 64]
    models[1] = models[1] | {"groups": [group | {"correct": group["clips"]} for group in models[1]["groups"]]}
    card = model_card([replace(results, models=tuple(models))])
    lines = {line[3]: line[4:] for line in table(card, "card_groups")}
    assert lines["gender: female"] == ["2", "800", "99.38 % (98.75 % to 100.00 %)"]
    spread = table(card, "card_speakers")
    assert spread[0][3:] == ["0", "3", "95.00 %", "97.50 %", "100.00 %"]
    limits = [item for block in card.blocks(Bullets) for item in block.items]
    assert any("fewer than 100 test clips" in item and "gender male" in item for item in limits)


def test_models_of_planted_cues_are_said_to_be(rows_with: MakeRows) -> None:
    results = result_set(rows_with(samples=2))
    cued = dict(results.models[0]) | {"cues": True, "groups": []}
    told = markdown(model_card([replace(results, models=(*results.models, cued))]))
    assert "with planted cues tell the cues apart" in told
    assert len(table(model_card([replace(results, models=(cued,))]), "card_accuracy")) == 1


def test_stand_ins_are_named(rows_with: MakeRows) -> None:
    results = result_set(rows_with(samples=2, stand_in=True))
    assert "spoken_digits, fold 1 (STAND-IN for audio_mnist)" in markdown(model_card([results]))
    told = markdown(data_card([results]))
    assert "## spoken_digits (STAND-IN for audio_mnist)" in told
    assert "says nothing about audio_mnist" in told


def test_data_sets_have_origin_split_groups_and_skipped_files(rows_with: MakeRows) -> None:
    card = data_card([result_set(rows_with(samples=2))])
    assert [section.title for section in card.sections] == ["fsdd", "mnist"]
    told = markdown(card)
    for words in (
        "Origin: somebody 2018. Licence: CC BY-SA 4.0.",
        "Split fold 1: 800 train of 4 groups; 100 validation of 1 group; 1,200 test of 1 group.",
        "No group is in two parts.",
        "Groups by gender: female 2 and male 4.",
        "Skipped files, 1: broken.wav: no sound.",
        "No file was skipped.",
    ):
        assert words in told


def test_what_is_not_known_of_a_users_data_is_said(rows_with: MakeRows) -> None:
    results = result_set(rows_with(samples=2))
    bare = {"name": "mine", "split": "all", "samples": {"test": 3}, "form": "mono", "fingerprint": "f"}
    model = dict(results.models[0]) | {"data": bare}
    assert "Origin: not known. Licence: not known." in markdown(data_card([replace(results, models=(model,))]))

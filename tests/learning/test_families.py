import zipfile

import numpy as np
import pytest

from volition.errors import ConflictError, InvalidInputError
from volition.learning.families.family import Scores, fold_of, part_name
from volition.learning.families.model import Model

MODEL = Model(
    family="search",
    settings={"b": 0.1, "a": [1, None, "ü"]},
    arrays={"whole": np.arange(6).reshape(2, 3), "none": np.zeros((0, 4), dtype=np.float32), "one": np.array(2.5)},
    texts={"words": "é\r\nb\n", "trees": ""},
)


def changed(**parts):
    fields = {name: getattr(MODEL, name) for name in ("family", "settings", "arrays", "texts")}
    return Model(**{**fields, **parts})


def test_a_loaded_model_is_the_saved_one(tmp_path):
    MODEL.save(tmp_path / "model")
    loaded = Model.load(tmp_path / "model")
    assert loaded.digest == MODEL.digest
    assert (loaded.family, loaded.settings, loaded.texts) == (MODEL.family, MODEL.settings, MODEL.texts)
    for name, array in MODEL.arrays.items():
        assert loaded.arrays[name].dtype == array.dtype
        assert loaded.arrays[name].shape == array.shape
        assert np.array_equal(loaded.arrays[name], array)


def test_the_order_layout_and_byte_order_of_arrays_do_not_show():
    arrays = dict(reversed(MODEL.arrays.items()))
    arrays["whole"] = np.asfortranarray(arrays["whole"]).astype(">i8")
    assert changed(arrays=arrays).files() == MODEL.files()


@pytest.mark.parametrize(
    "parts",
    [
        {"family": "summary"},
        {"settings": {"b": 0.1, "a": [1, None, "u"]}},
        {"arrays": {**MODEL.arrays, "whole": np.arange(6).reshape(3, 2)}},
        {"arrays": {**MODEL.arrays, "whole": np.arange(6, dtype=np.int32).reshape(2, 3)}},
        {"texts": {**MODEL.texts, "words": "é\nb\n"}},
        {"texts": {"trees": MODEL.texts["words"], "words": MODEL.texts["trees"]}},
    ],
)
def test_another_content_has_another_digest(parts):
    assert changed(**parts).digest != MODEL.digest


def test_saving_again_changes_nothing_and_saving_another_is_refused(tmp_path):
    MODEL.save(tmp_path / "model")
    MODEL.save(tmp_path / "model")
    with pytest.raises(ConflictError):
        changed(family="summary").save(tmp_path / "model")
    assert Model.load(tmp_path / "model").digest == MODEL.digest
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("name", ["../up", "a/b", "", "A", "x" * 65, ".hidden"])
@pytest.mark.parametrize("part", ["arrays", "texts"])
def test_a_name_that_is_no_plain_file_name_is_refused(part, name):
    with pytest.raises(InvalidInputError):
        changed(**{part: {name: np.zeros(1) if part == "arrays" else ""}})


def test_objects_are_refused_on_the_way_in_and_on_the_way_out(tmp_path):
    with pytest.raises(InvalidInputError, match="Python objects"):
        changed(arrays={"objects": np.array([object()])})
    MODEL.save(tmp_path / "model")
    np.savez(tmp_path / "model" / "arrays.npz", **{name: np.array([{}], dtype=object) for name in MODEL.arrays})
    with pytest.raises(InvalidInputError, match="not a whole model"):
        Model.load(tmp_path / "model")


@pytest.mark.parametrize("name", ["settings.json", "arrays.npz", "words.txt"])
def test_a_missing_or_broken_file_is_reported_with_its_folder(tmp_path, name):
    folder = tmp_path / "model"
    MODEL.save(folder)
    (folder / name).write_bytes(b"\xff")
    with pytest.raises(InvalidInputError, match="not a whole model") as told:
        Model.load(folder)
    assert str(folder) in str(told.value)
    (folder / name).unlink()
    with pytest.raises(InvalidInputError, match="not a whole model"):
        Model.load(folder)


def test_settings_cannot_make_load_read_elsewhere(tmp_path):
    MODEL.save(tmp_path / "model")
    settings = tmp_path / "model" / "settings.json"
    settings.write_bytes(settings.read_bytes().replace(b'"words"', b'"../secret"'))
    with pytest.raises(InvalidInputError, match="cannot name"):
        Model.load(tmp_path / "model")


def test_the_files_hold_no_trace_of_when_and_where(tmp_path):
    MODEL.save(tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "model" / "arrays.npz") as archive:
        assert {(info.date_time, info.create_system) for info in archive.infolist()} == {((1980, 1, 1, 0, 0, 0), 3)}


def test_scores_need_a_finite_value_for_each_unit():
    with pytest.raises(InvalidInputError):
        Scores(metric="m", units=("a", "b"), accounts=("x", "x"), values=np.array([1.0]))
    with pytest.raises(InvalidInputError):
        Scores(metric="m", units=("a",), accounts=("x",), values=np.array([np.nan]))


def test_folds_are_the_same_everywhere_and_fill_evenly():
    assert [fold_of(unit, 5) for unit in ("a", "b", "meeting/1", "ü")] == [0, 1, 1, 3]
    counts = np.bincount([fold_of(str(number), 5) for number in range(5000)])
    assert counts.min() > 900


def test_a_part_is_named_by_where_its_pieces_begin_too():
    assert part_name("x", b"ab", b"c") != part_name("x", b"a", b"bc")

"""The band map: its sweep, what it is computed of, and what it says."""

import pytest
from hydra import initialize_config_dir
from test_validation import CONF

from fer_lit import train_command

BANDS = [(f"band{top}", 10) for top in range(0, 39, 2)]


@pytest.fixture
def jobs(monkeypatch):
    """A function: arguments → name and height of each job's occlusion, and what Hydra gets."""
    composed = []
    monkeypatch.setattr(train_command, "_have_photographs", lambda cfgs: not composed.extend(cfgs))

    def checked(*arguments):
        composed.clear()
        with initialize_config_dir(str(CONF), version_base="1.3"):
            given = train_command.checked(["experiment=band_map", *arguments])
        assert {(cfg.data.image_size, cfg.features.views) for cfg in composed} == {(112, 0)}
        return [(cfg.occlusion.name, cfg.occlusion.height) for cfg in composed], given

    return checked


def test_the_experiment_sweeps_the_band_by_itself(jobs):
    assert jobs("-m") == (BANDS, ["-m", "experiment=band_map"])
    assert jobs("-m", "occlusion.height=8")[0] == [(name, 8) for name, _ in BANDS]


def test_without_a_band_nothing_is_swept(jobs):
    assert jobs()[0] == jobs("occlusion=none")[0] == [("none", 0)]
    occlusions, given = jobs("-m", "occlusion=none", "seed=0,1")
    assert occlusions == [("none", 0)] * 2
    assert "hydra.sweeper.params=null" in given  # else Hydra would train each of them 20 times


def test_rows_that_are_typed_replace_those_of_the_experiment(jobs):
    occlusions, given = jobs("-m", "occlusion.top=4,30")
    assert occlusions == [("band4", 10), ("band30", 10)]
    assert {"hydra.sweeper.params=null", "occlusion=band", "occlusion.top=4,30"} <= set(given)


def test_the_demo_slides_the_band_over_drawn_faces(monkeypatch):
    monkeypatch.setattr(train_command, "_have_photographs", lambda cfgs: False)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        given = train_command.checked(["-m", "experiment=band_map"])
    assert given == ["-m", "experiment=demo", "occlusion=band", "occlusion.top=range(0,39,2)"]

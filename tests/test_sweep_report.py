"""What is suggested at the end of a run or a sweep."""

import pytest

from fer_lit.runs.sweep_report import next_command


@pytest.mark.parametrize(
    ("arguments", "following"),
    [
        ([], "train.py -m occlusion=none,eyes,nose,mouth"),
        (
            ["occlusion=band", "occlusion.top=3", "data.root=/a b"],
            "train.py -m occlusion=none,eyes,nose,mouth 'data.root=/a b'",
        ),
        (["-m", "occlusion=none,eyes"], "analyze.py"),
        (["experiment=band_map", "occlusion=none"], "analyze.py band_map=true 'sweep=[SWEEP,RUN]'"),
        (["-m", "experiment=band_map"], "train.py occlusion=none experiment=band_map"),
        (
            ["-m", "hydra.sweeper.params=null", "occlusion=band", "experiment=band_map"],
            "train.py occlusion=none experiment=band_map",
        ),
        (["occlusion=none,eyes", "output=/my runs", "-m"], "analyze.py 'output=/my runs'"),
    ],
)
def test_after_one_run_come_the_others_and_then_the_analysis(arguments, following):
    assert next_command(arguments) == f"python {following}"

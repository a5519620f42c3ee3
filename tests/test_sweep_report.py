"""What is suggested at the end of a run or a sweep."""

import pytest

from fer_lit.sweep_report import next_command


@pytest.mark.parametrize(
    ("arguments", "following"),
    [
        ([], "train.py -m occlusion=none,eyes,nose,mouth"),
        (
            ["occlusion=band", "occlusion.top=3", "data.root=/a b"],
            "train.py -m occlusion=none,eyes,nose,mouth 'data.root=/a b'",
        ),
        (["-m", "occlusion=none,eyes"], "train.py -m occlusion=none,eyes seed=0,1,2,3,4"),
        (["-m", "seed=0,1", "occlusion=none,eyes"], "train.py --help"),
    ],
)
def test_the_next_command_keeps_what_was_typed(arguments, following):
    assert next_command(arguments) == f"python {following}"

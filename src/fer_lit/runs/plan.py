"""What a sweep is to run: written into its folder before the first job, `sweep.json`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser

from fer_lit.bounded import read_json
from fer_lit.errors import ConfigError
from fer_lit.files import write_json

NAME = "sweep.json"
_LARGEST = 2**25  # bytes; a job takes some 200
_MEND = "bring back the original, or delete it"
_NAMED = 6  # jobs, so that a line stays a line
_NOT_OF_A_JOB = ("resume=", "output=", "hydra.")

Job = tuple[str, ...]
"""What tells a job from others: its overrides, sorted, without those of where it runs."""


def job_of(overrides: Iterable[str]) -> Job:
    """Return the job that overrides describe, whether as typed or as Hydra writes them."""
    own = [one for one in overrides if not one.startswith(_NOT_OF_A_JOB)]
    parsed = OverridesParser.create().parse_overrides(own)
    return tuple(sorted(f"{o.get_key_element()}={o.get_value_element_as_str()}" for o in parsed))


class Plan(NamedTuple):
    """The arguments of the command that runs a sweep, and the jobs that it is to consist of."""

    command: list[str]
    jobs: list[Job]


def write_plan(sweep: Path, plan: Plan) -> None:
    """Write a sweep's plan into its folder."""
    write_json(sweep / NAME, plan._asdict())


def read_plan(sweep: Path) -> Plan | None:
    """Return a sweep's plan, or None: earlier versions wrote none.

    Raises:
        ConfigError: the file cannot be read.
    """
    path = sweep / NAME
    if not path.exists():
        return None
    found = read_json(path, _LARGEST, _MEND)
    try:
        jobs = [job_of(overrides) for overrides in found["jobs"]]
        return Plan([str(argument) for argument in found["command"]], jobs)
    except (LookupError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: not a sweep's plan ({error}); {_MEND}") from error


def missing_jobs(sweep: Path, runs: Sequence[Mapping[str, Any]]) -> str | None:
    """Return in a line which jobs of a sweep none of its runs (see `reading.read_run`) is of.

    Raises:
        ConfigError: the plan cannot be read.
    """
    plan = read_plan(sweep)
    if plan is None:
        return None
    known = {job_of(run["provenance"].get("overrides", ())) for run in runs}
    missing = [job for job in plan.jobs if job not in known]
    if not missing:
        return None
    shared = set.intersection(*map(set, plan.jobs))
    named = [" ".join(one for one in job if one not in shared) for job in missing[:_NAMED]]
    more = "; …" * (len(missing) > _NAMED)
    return (
        f"{sweep.name} is not complete: {len(missing)} of its {len(plan.jobs)} jobs have not run "
        f"({'; '.join(named)}{more}); python train.py resume={sweep} runs them"
    )

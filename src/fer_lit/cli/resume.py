"""`resume=`: a sweep or a run taken up again, by a command line that goes on in its folder."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fer_lit.cli.overrides import folder_of, parse, quoted
from fer_lit.errors import ConfigError
from fer_lit.files import remove
from fer_lit.runs.earlier import upgraded
from fer_lit.runs.folder import is_busy
from fer_lit.runs.manifest import check_manifest
from fer_lit.runs.plan import NAME as PLAN
from fer_lit.runs.plan import Plan, job_of, read_plan, write_plan
from fer_lit.runs.reading import is_run, read_provenance, read_run, run_folders, run_number
from fer_lit.runs.stored_config import read_config

_LAST = "checkpoints/last.ckpt"
_WHERE = ("output", "resume", "data.root", "data.source.root")
"""Options of where things are, which may move."""
_FOLDERS = "hydra.callbacks.report.folders"
_SUBDIR = "hydra.sweep.subdir='${hydra:callbacks.report.folders.${hydra:job.num}}'"

log = logging.getLogger(__name__)


def wanted(overrides: Sequence[str], multirun: bool) -> Path | None:
    """Return the folder that `resume=` names, or None without it.

    The latest is that of the latest sweep, or without `multirun` of the latest sweep or run.

    Raises:
        ConfigError: there is no sweep or run in it.
    """
    given = [item.value() for item in parse(overrides) if item.key_or_group == "resume"]
    if not given or given[-1] is None:
        return None
    if not isinstance(given[-1], str) or not given[-1]:
        raise ConfigError(f"resume={given[-1]}: must be the folder of a sweep or a run, or latest")
    if given[-1] == "latest":
        outputs = [one for one in overrides if one.startswith("output=")]
        return _latest(Path(folder_of("config", outputs, "output")), multirun)
    folder = Path(given[-1]).expanduser()
    if not is_run(folder) and not _is_sweep(folder):
        raise ConfigError(f"resume={folder}: there is no sweep and no run in this folder")
    return folder


def recorded_sweep(folder: Path) -> Plan:
    """Return the plan of a sweep; for one of an earlier version, as far as its runs know it.

    Raises:
        ConfigError: it cannot be read.
    """
    if plan := read_plan(folder):
        return plan
    commands = [read_provenance(run).get("command", []) for run in run_folders(folder)]
    known = [command for command in commands if command[:1] == ["train.py"]]
    if not known:
        raise ConfigError(f"resume={folder}: its command is not recorded; start a new sweep")
    return Plan(known[-1][1:], [])


def resume_sweep(
    folder: Path, plan: Plan, configs: Sequence[DictConfig], template: str
) -> list[str]:
    """Empty a sweep's runs that did not finish, and return what lets Hydra go on in its folder.

    Its own plan is joined by what is new in this one.

    Args:
        folder: of the sweep.
        plan: the command, and all jobs of it.
        configs: of the jobs.
        template: of a run's folder, `hydra.sweep.subdir`.

    Raises:
        ConfigError: a run is still being trained.
    """
    known = {run: job_of(_overrides(run)) for run in run_folders(folder)}
    by_job = {job: run for run, job in known.items()}
    by_options = {run: options for run in known if (options := _stored_options(run))}
    numbers = _free_numbers(folder)
    names, jobs, unfinished = [], [], []
    for job, cfg in zip(plan.jobs, configs, strict=True):
        options = _options(cfg)
        alike = (run for run, own in by_options.items() if not _different(own, options))
        run = by_job.get(job) or next(alike, None)
        done = run is not None and _is_done(run, options)
        names.append(run.name if run else _name(template, cfg, next(numbers)))
        jobs.append(known[run] if done else job)
        if run and not done:
            unfinished.append(run)
    _refuse_busy(unfinished)
    _empty(unfinished)
    before = [job for job in recorded_sweep(folder).jobs if by_job.get(job) not in unfinished]
    write_plan(folder, Plan(plan.command, list(dict.fromkeys([*before, *jobs]))))
    taken = sum(job in by_job and by_job[job] not in unfinished for job in jobs)
    log.info(f"{folder}: {taken} of {len(names)} jobs are finished and are taken as they are")
    path = quoted(folder)
    listed = ",".join(map(quoted, names))
    return [f"hydra.sweep.dir={path}", f"{_FOLDERS}=[{listed}]", _SUBDIR, f"resume={path}"]


def run_arguments(folder: Path, cfg: DictConfig) -> list[str]:
    """Return what lets Hydra go on in a run's folder, from its last checkpoint if there is one.

    Args:
        folder: of the run.
        cfg: the options of this command.

    Raises:
        ConfigError: the run is still being trained, or other options are wanted than it has.
    """
    options = _options(cfg)
    stored = _options(read_config(folder / "config.yaml", trust=True))
    if different := _different(stored, options):
        raise ConfigError(
            f"resume={folder}: the run has other options ({different}); leave the options out, or "
            "start a new run"
        )
    if not _is_done(folder, options):
        _refuse_busy([folder])
        if not (folder / _LAST).is_file():
            _empty([folder])
    path = quoted(folder)
    return [f"hydra.run.dir={path}", f"resume={path}"]


def recorded_run(folder: Path) -> list[str]:
    """Return the overrides that a run was started with.

    Raises:
        ConfigError: they cannot be read.
    """
    return list(read_provenance(folder).get("overrides", ()))


def _latest(output: Path, multirun: bool) -> Path:
    kinds = ("sweeps",) if multirun else ("sweeps", "runs")
    folders = [path for kind in kinds for path in (output / kind).glob("*")]
    there = [path for path in folders if is_run(path) or _is_sweep(path)]
    if not there:
        what = "no sweep" if multirun else "no sweep and no run"
        raise ConfigError(f"resume=latest: there is {what} in {output}")
    return max(there, key=lambda path: path.name)


def _is_sweep(folder: Path) -> bool:
    return (folder / PLAN).is_file() or bool(run_folders(folder))


def _overrides(folder: Path) -> Sequence[str]:
    try:
        return read_provenance(folder).get("overrides", ())
    except ConfigError as error:
        log.warning(f"{folder.name} is left as it is, since it cannot be read: {error}")
        return (f"unreadable={folder.name}",)


def _stored_options(folder: Path) -> dict[str, Any] | None:
    try:
        return _options(read_config(folder / "config.yaml", trust=True))
    except ConfigError:
        return None


def _options(cfg: DictConfig) -> dict[str, Any]:
    """Return the options of a run by their whole names, but for where things are."""
    flat = _flat(OmegaConf.to_container(upgraded(cfg)), "")
    return {option: value for option, value in flat.items() if option not in _WHERE}


def _flat(options: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    flat = {}
    for key, value in options.items():
        below = _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else None
        flat |= {f"{prefix}{key}": value} if below is None else below
    return flat


def _different(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """Return in words the first option that both have with different values.

    Options that one of two versions does not have stand for what both do.
    """
    for option, value in new.items():
        if option in old and old[option] != value:
            return f"{option} was {old[option]} and is {value}"
    return None


def _is_done(folder: Path, options: Mapping[str, Any]) -> bool:
    """Return whether a run has finished, with the options it would have now, and is undamaged."""
    try:
        run = read_run(folder, trust=True)
        check_manifest(folder)
    except ConfigError as error:
        log.warning(f"{folder.name} is trained again: {error}")
        return False
    if run["metrics"] is None:
        return False
    if different := _different(_options(run["config"]), options):
        log.warning(f"{folder.name} is trained again, since {different}")
        return False
    return True


def _refuse_busy(runs: Sequence[Path]) -> None:
    for run in filter(is_busy, runs):
        raise ConfigError(f"resume: {run} is still being trained; wait for it, or stop it")


def _empty(runs: Sequence[Path]) -> None:
    for path in chain.from_iterable(run.iterdir() for run in runs):
        remove(path)


def _free_numbers(sweep: Path) -> Iterator[int]:
    used = {run_number(folder) for folder in run_folders(sweep)}
    return (number for number in count() if number not in used)


def _name(template: str, cfg: DictConfig, number: int) -> str:
    """Return the name that Hydra would give the folder of a job."""
    options = OmegaConf.to_container(cfg)
    return OmegaConf.create(
        options | {"name": template.replace("${hydra:job.num}", str(number))}
    ).name

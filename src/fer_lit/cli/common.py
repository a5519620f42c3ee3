"""What both command lines share: options checked before anything is loaded, errors of one line."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from hydra import initialize_config_dir

from fer_lit.cache import cache_folder
from fer_lit.cache.leftovers import remove_leftovers
from fer_lit.cli.flags import read_flags, starts
from fer_lit.cli.overrides import (
    compose_job,
    folder_of,
    parse,
    quoted,
    refuse_several_values,
    refuse_unreadable_text,
)
from fer_lit.errors import ConfigError, of_the_disk
from fer_lit.runs.folder import claim, refuse_runs, release
from fer_lit.stopping import exit_status, stop_in_good_order


class Start(NamedTuple):
    """The arguments for Hydra, the folder that they name, and whether it was made for them."""

    arguments: list[str]
    folder: Path
    claimed: bool = False


def run(
    job: Callable[[], None],
    conf: Path,
    config: str,
    start: Callable[[Sequence[str]], Start],
    stopped: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Check the command line, then run it; exit with a status that is not 0 if it fails.

    Args:
        job: what is run.
        conf: the folder of `config`, absolute.
        config: name of the configuration.
        start: checks the arguments, and returns what is to run; it is called where `compose`
            works, and may raise ConfigError.
        stopped: called with the output folder when the job is stopped by Ctrl-C or a scheduler.
    """
    # What the screen cannot show must not end a run, nor a log on a full disk show tracebacks.
    sys.stdout.reconfigure(errors="replace")
    logging.raiseExceptions = False
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra passes errors on, instead of showing them itself
    stop_in_good_order()
    folder, claimed = None, False
    try:
        with errors_in_one_line(), initialize_config_dir(str(conf), version_base="1.3"):
            refuse_unreadable_text(f"the working folder {Path.cwd()}", str(Path.cwd()))
            flags = read_flags(sys.argv[1:])
            if starts(flags):
                remove_leftovers(cache_folder())  # which may be read-only, as is said now
                sys.argv[1:], folder, claimed = start([*["-m"] * flags.multirun, *flags.overrides])
            elif flags.overrides:  # of what Hydra is to show
                refuse_several_values(flags.overrides, "give one value, to show it")
                compose_job(config, flags.overrides)
        job()
    except BrokenPipeError:  # as of `| head`; Python would complain once more when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. Finished runs and the features computed so far are kept.\n")
        _report(stopped, folder)
        sys.exit(exit_status())
    except Exception as error:
        if (reason := of_the_disk(error)) is None:
            raise
        _report(stopped, folder)
        sys.exit(f"{Path(sys.argv[0]).name}: {reason}")
    finally:
        if claimed:
            release(folder)


def _report(stopped: Callable[[Path], None], folder: Path | None) -> None:
    """Report on what there is, if that is readable, and if a full disk has room for a summary."""
    if folder:
        with suppress(ConfigError, OSError):
            stopped(folder)


def own_folder(config: str, arguments: Sequence[str]) -> Start:
    """Create the folder of what is about to run, and name it in the arguments.

    Hydra would name it after the time, to the second, and two commands would share it.

    Args:
        config: name of the configuration.
        arguments: the whole command line; one that names a folder by itself stays as it is.

    Raises:
        ConfigError: the folder that is named holds runs, or it cannot be created.
    """
    option = "hydra.sweep.dir" if "-m" in arguments else "hydra.run.dir"
    overrides = [argument for argument in arguments if not argument.startswith("-")]
    named = any(item.key_or_group == option for item in parse(overrides))
    path = Path(folder_of(config, overrides, option))
    try:
        if named:
            refuse_runs(path, option)
            path.mkdir(parents=True, exist_ok=True)
        else:
            path = claim(path)
    except OSError as error:
        raise ConfigError(
            f"{option if named else 'output'}: {path} cannot be created ({error.strerror}); "
            "name a folder to write to"
        ) from error
    override = [] if named else [f"{option}={quoted(path)}"]
    return Start([*arguments, *override], path, claimed=not named)


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Exit with a line instead of a traceback where the input is wrong or the disk is full."""
    try:
        yield
    except ConfigError as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {error}")
    except OSError as error:
        if (reason := of_the_disk(error)) is None:
            raise
        sys.exit(f"{Path(sys.argv[0]).name}: {reason}")

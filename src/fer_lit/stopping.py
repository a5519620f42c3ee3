"""Programs that end in good order when they are stopped, by Ctrl-C or by a scheduler."""

import signal
import threading
from types import FrameType

_SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR1")  # of Ctrl-C; the others are what Slurm sends
_received: list[int] = []


def stop_in_good_order() -> None:
    """Let each of the signals raise KeyboardInterrupt, unless a launcher handles it already."""
    if threading.current_thread() is not threading.main_thread():  # which alone may do that
        return
    for name in _SIGNALS:
        number = getattr(signal, name, None)  # Windows has not all of them
        unhandled = (signal.SIG_DFL, signal.default_int_handler)
        if number is not None and signal.getsignal(number) in unhandled:
            signal.signal(number, _stop)


def stop_if_asked() -> None:
    """Raise KeyboardInterrupt once more after a signal, in case that a library has swallowed it."""
    if _received:
        raise KeyboardInterrupt


def exit_status() -> int:
    """Return what a stopped program exits with: 130 after Ctrl-C, 143 after other signals."""
    return 128 + (signal.SIGTERM if _received and _received[0] != signal.SIGINT else signal.SIGINT)


def _stop(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    # Schedulers may send several; those after the first would disturb what the first set off.
    if len(_received) == 1 or number == signal.SIGINT:
        raise KeyboardInterrupt

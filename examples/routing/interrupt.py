"""Turns SIGINT into a flag, so that the search can end itself and still answer."""

import signal

_requested = False


def install() -> None:
    """From now on SIGINT no longer ends the process; it makes `requested` true."""
    signal.signal(signal.SIGINT, _remember)


def requested() -> bool:
    """Whether a SIGINT has come since `install`."""
    return _requested


def _remember(_signal_number: int, _frame: object) -> None:
    global _requested
    _requested = True

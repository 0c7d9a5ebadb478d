"""Lets the threads of the dataflow stand behind those that answer somebody who waits."""

import contextlib
import os
import threading

__all__ = ["stand_back"]

_NICE = 10
"""A tenth of the weight of a thread that answers: a question of some milliseconds goes first."""


def stand_back() -> None:
    """Lower the priority of the thread that calls; those it starts from now on have the same.

    On Linux threads have priorities of their own; elsewhere this would be the whole process, and
    nothing is done.
    """
    if os.uname().sysname == "Linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)

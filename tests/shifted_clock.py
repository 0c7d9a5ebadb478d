"""A wall clock that a test sets: a small library that goes between a process and the C library.

    clock = shifted_clock(folder)               # skips the test where there is no C compiler
    process = Popen(words, env=clock.environment())
    clock.set(-3600)                            # from now on it is an hour earlier there

Steady clocks stay as they are. Where the process asks the kernel by itself (Rust's and C++'s
standard libraries do it by the same functions) nothing is missed.
"""

import os
import shutil
import struct
import subprocess

import pytest

__all__ = ["shifted_clock"]

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *shift_s;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("SHIFTED_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *found = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (found != MAP_FAILED) shift_s = found;
    close(file);
}

int clock_gettime(clockid_t id, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(id, at);
    if (!code && shift_s && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        at->tv_sec += *shift_s;
    return code;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"""


class ShiftedClock:
    """The clock; see the module."""

    def __init__(self, library, told):
        self._library, self._told = library, told

    def environment(self):
        """Give the environment of a process that goes by it."""
        return {**os.environ, "LD_PRELOAD": str(self._library), "SHIFTED_CLOCK": str(self._told)}

    def set(self, shift_s):
        """Let it be so many seconds later, or earlier, than it is."""
        with self._told.open("r+b") as file:
            file.write(struct.pack("=q", shift_s))


def shifted_clock(folder):
    """Make one; see the module."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("a clock that can be set needs a C compiler")
    source, library, told = folder / "clock.c", folder / "clock.so", folder / "shift"
    source.write_text(_SOURCE)
    words = [compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"]
    subprocess.run(words, check=True, timeout=60)
    told.write_bytes(struct.pack("=q", 0))
    return ShiftedClock(library, told)

"""A small disk: a tmpfs of its own size at a folder, for those processes alone that start on it.

    with small_disk(folder, "1m") as disk:      # skips the test where that is not allowed
        disk.run("flows", "run", ...)           # it sees the small disk at `folder`
        disk.resize("50m")                      # somebody makes room

It lives in a user and mount namespace, so that no root is needed where those are allowed, and ends
with it. `limited` is for elsewhere: no file of the process may grow beyond a size.
"""

import contextlib
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

__all__ = ["limited", "small_disk"]

ROOT = Path(__file__).parent.parent
# cat holds the namespace until its standard input is closed
_HOLD = 'mount -t tmpfs -o size="$1" none "$2" && echo ready && exec cat'


class SmallDisk:
    """The disk; see the module."""

    def __init__(self, folder, holder):
        self.folder, self._holder = folder, holder

    def words(self, *words):
        """Words of a command that sees the disk."""
        enter = ["nsenter", "-t", self._holder.pid, "-U", "-m", "--preserve-credentials"]
        return [str(word) for word in (*enter, f"--wd={ROOT}", *words)]

    def bellwether(self, *words):
        """Words of our command."""
        return self.words(sys.executable, "-m", "flows", *words)

    def run(self, *words):
        """Run our command to its end."""
        return self.python("-m", "flows", *words)

    def python(self, *words):
        """Run Python to its end."""
        words = self.words(sys.executable, *words)
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)

    def resize(self, size):
        """Make room, or take it away."""
        self.remount(f"size={size}")

    def remount(self, option):
        """Mount it anew, with another option."""
        self._done("mount", "-o", f"remount,{option}", self.folder)

    def copy(self, path, target):
        """Bring a folder from the disk to where everybody sees it."""
        self._done("cp", "-r", path, target)

    def _done(self, *words):
        subprocess.run(self.words(*words), check=True, timeout=60, capture_output=True)


@contextlib.contextmanager
def small_disk(folder, size):
    """Hold a disk at a folder that is there; see the module."""
    if not (shutil.which("unshare") and shutil.which("nsenter")):
        pytest.skip("a disk of a chosen size needs unshare and nsenter (util-linux)")
    words = ["unshare", "-r", "-m", "sh", "-c", _HOLD, "sh", size, str(folder)]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as holder:
        try:
            if holder.stdout.readline() != b"ready\n":
                why = holder.stderr.read().decode().strip()
                pytest.skip(f"a disk of a chosen size needs user namespaces: {why}")
            yield SmallDisk(folder, holder)
        finally:
            holder.stdin.close()


def limited(file_bytes):
    """Let no file of the process that calls grow beyond a size; for `preexec_fn`.

    Writing there fails with EFBIG, since Python ignores SIGXFSZ.
    """

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, resource.RLIM_INFINITY))

    return limit

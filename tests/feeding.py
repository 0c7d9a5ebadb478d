"""Writes a file bit by bit, for runs that follow it."""

import threading
import time


class Feeder(threading.Thread):
    """Appends the lines to a file, evenly over some time; `finish` writes the rest at once."""

    def __init__(self, path, lines, span_s):
        super().__init__()
        self.path, self.lines, self.span_s = path, lines, span_s
        self.written = 0
        self.hurry = threading.Event()

    def run(self):
        began = time.monotonic()
        with self.path.open("ab") as file:
            while self.written < len(self.lines):
                share = (time.monotonic() - began) / self.span_s
                due = len(self.lines) if self.hurry.is_set() else int(share * len(self.lines))
                file.write(b"".join(self.lines[self.written : due]))
                file.flush()
                self.written = max(self.written, due)
                time.sleep(0.02)

    def finish(self):
        self.hurry.set()
        self.join()

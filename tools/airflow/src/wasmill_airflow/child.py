"""A process that is read line by line and stopped gracefully."""

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import IO, Literal

Stream = Literal["stdout", "stderr"]

#: Lines that wait to be read. A child that prints faster waits.
_MOST_LINES = 1_000
#: How often something that can't wake us is looked at.
_TICK_SECONDS = 0.05


class Child:
    """A process in a session of its own: signals that Airflow sends to its group of processes do not reach it."""

    def __init__(self, command: Sequence[str], working_directory: str | None, environment: Mapping[str, str], stop_within: timedelta) -> None:
        self._stop_within = stop_within
        self._lines: queue.Queue[tuple[Stream, str] | None] = queue.Queue(_MOST_LINES)
        self._is_stopping = False
        self._process = subprocess.Popen(
            list(command),
            cwd=working_directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        # None only where no pipe was asked for.
        pipes: list[tuple[Stream, IO[str] | None]] = [("stdout", self._process.stdout), ("stderr", self._process.stderr)]
        for name, pipe in pipes:
            assert pipe is not None
            threading.Thread(target=self._read, args=(name, pipe), name=f"wasmill-{name}", daemon=True).start()

    def _read(self, name: Stream, pipe: IO[str]) -> None:
        try:
            for line in pipe:
                self._put((name, line.rstrip("\r\n")))
        finally:
            self._put(None)

    def _put(self, line: tuple[Stream, str] | None) -> None:
        """Waits for room. While the child is being stopped nobody reads, and it must not wait for that: lines are dropped then."""
        while True:
            try:
                self._lines.put(line, timeout=_TICK_SECONDS)
                return
            except queue.Full:
                if self._is_stopping and line is not None:
                    return

    def lines(self) -> Iterator[tuple[Stream, str]]:
        """What it prints, until both of its outputs are closed."""
        open_pipes = 2
        while open_pipes:
            line = self._lines.get()
            if line is None:
                open_pipes -= 1
            else:
                yield line

    def wait(self) -> int:
        """Waits for its end. Returns its exit status, or the negative number of the signal that ended it."""
        while (status := self._process.poll()) is None:
            time.sleep(_TICK_SECONDS)
        return status

    def stop(self) -> None:
        """Has it finish its epoch and end, and ends it by force where that takes too long. Nothing is lost either way."""
        self._is_stopping = True
        if self._process.poll() is not None:
            return
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + self._stop_within.total_seconds()
        while self._process.poll() is None:
            if time.monotonic() >= deadline:
                self._kill()
                return
            time.sleep(_TICK_SECONDS)

    def _signal(self, number: signal.Signals) -> None:
        try:
            self._process.send_signal(number)
        except ProcessLookupError:
            pass

    def _kill(self) -> None:
        try:
            # It leads its session, and so a group of its own: with it go the processes that compile plugins.
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.wait()

"""Runs whole processes and measures them: wall time and peak memory, compared pair by pair."""

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Sample:
    seconds: float
    megabytes: float
    """Peak resident memory of the process, in units of 2^20 bytes."""


class Failed(Exception):
    """A measured program failed; the message holds the end of what it said."""


def once(command: list[str], cwd: Path, log: Path) -> Sample:
    """Runs a command to its end. The kernel's own count of the process gives the memory, so nothing escapes between two looks.

    That count begins with the peak of this program, which the new process shares for a moment: this program has to stay small, and
    `compare` refuses a count that it may have caused.
    """
    with log.open("wb") as said:
        begun = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        tail = log.read_text(errors="replace")[-3000:]
        raise Failed(f"{' '.join(command)}\nended with status {process.returncode}:\n{tail}")
    return Sample(seconds, usage.ru_maxrss / 1024)


def until_first_byte(command: list[str], cwd: Path) -> float:
    """Seconds from the start of a command to the first byte on its standard output."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    first = process.stdout.read(1)
    seconds = time.perf_counter() - begun
    _, errors = process.communicate()
    if not first or process.returncode != 0:
        raise Failed(f"{' '.join(command)}\nended with status {process.returncode}:\n{errors.decode(errors='replace')[-3000:]}")
    return seconds


@dataclass
class Compared:
    """Several programs, run in turn, so that a slow moment of the machine hits all of them."""

    samples: dict[str, list[Sample]]

    def seconds(self, name: str) -> float:
        return statistics.median(sample.seconds for sample in self.samples[name])

    def megabytes(self, name: str) -> float:
        return statistics.median(sample.megabytes for sample in self.samples[name])

    def ratio(self, name: str, to: str) -> float:
        """The median of the ratios of times, pair by pair."""
        pairs = zip(self.samples[name], self.samples[to], strict=True)
        return statistics.median(ours.seconds / theirs.seconds for ours, theirs in pairs)

    def spread(self, name: str) -> str:
        times = [sample.seconds for sample in self.samples[name]]
        return f"{min(times):.2f}–{max(times):.2f}"


def compare(programs: dict[str, Callable[[], Sample]], runs: int) -> Compared:
    """Runs every program `runs` times after one run that does not count. The order turns from round to round."""
    samples: dict[str, list[Sample]] = {name: [] for name in programs}
    names = list(programs)
    for number in range(runs + 1):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            sample = programs[name]()
            if sample.megabytes * 1024 <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss:
                raise Failed(f"{name} used less memory than the program that measures it: its peak can't be told")
            if number > 0:
                samples[name].append(sample)
    return Compared(samples)

"""The events that ``wasmill run --json`` prints: as lines of a log, and as the rows of each node."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

#: The columns of a node's counts, as the summary of a run has them.
ROWS = ("rows_in", "rows_added", "rows_out", "rows_rejected", "rows_filtered", "rows_aggregated")
_SECTIONS = {"source": "sources", "stage": "stages", "sink": "sinks", "dead letters": "dead_letters"}


def event_in(line: str) -> dict[str, Any] | None:
    """The event that a line is; ``None`` for what a sink prints to the console."""
    if not line.startswith("{"):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("event"), str) else None


def rows_of(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The summary of a run for XCom: the rows of every source, stage and sink by name."""
    found: dict[str, Any] = {
        "pipeline": summary["pipeline"],
        "mode": summary["mode"],
        "stopped": summary["stopped"],
        "epochs": summary["epochs"],
        "seconds": summary["time"],
        **{section: {} for section in _SECTIONS.values()},
    }
    for node in summary["nodes"]:
        found[_SECTIONS[node["kind"]]][node["name"]] = {name: node["counts"][name] for name in ROWS}
    return found


class RunLog:
    """Writes events into a log, and keeps those that a result is made of."""

    def __init__(self, log: Callable[[int, str], None], progress_every: timedelta) -> None:
        self._log, self._progress_seconds = log, progress_every.total_seconds()
        self._last_progress = float("-inf")
        self.summary: dict[str, Any] | None = None
        """The summary of the run, once it has finished."""
        self.failure: dict[str, Any] | None = None
        """The event of its failure."""

    def add(self, event: Mapping[str, Any]) -> None:
        """Takes the next event. One of a kind that this version does not know is logged as it is."""
        writer = getattr(self, "_" + event["event"].replace("-", "_"), None)
        if writer is None:
            self._log(logging.INFO, json.dumps(event))
        else:
            writer(event)

    def _started(self, event: Mapping[str, Any]) -> None:
        self._log(logging.INFO, f"{event['pipeline']}: a new state, reads from the start")

    def _recovered(self, event: Mapping[str, Any]) -> None:
        again = event["committed"]
        sent = f"; its commit was sent again to {', '.join(again)}" if again else ""
        self._log(logging.INFO, f"{event['pipeline']}: resumes after epoch {event['epoch']}{sent}")

    def _progress(self, event: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if now - self._last_progress < self._progress_seconds:
            return
        self._last_progress = now
        at = event["progress"]
        self._log(logging.INFO, f"{event['pipeline']}: {at['rows']:,} rows read, {at['rejects']:,} rejected, epoch {at['epoch']} is open")

    def _epoch(self, event: Mapping[str, Any]) -> None:
        seconds = sum(event[f"{step}_seconds"] for step in ("prepare", "checkpoint", "commit"))
        self._log(logging.INFO, f"{event['pipeline']}: epoch {event['epoch']} committed: {event['rows']:,} rows, in {seconds:.3f} s")

    def _new_columns(self, event: Mapping[str, Any]) -> None:
        self._log(logging.WARNING, f"{event['source']} has new columns in {event['file']}: {', '.join(event['columns'])}")

    def _stopping(self, event: Mapping[str, Any]) -> None:
        self._log(logging.INFO, f"{event['pipeline']}: stopping: finishing the epoch")

    def _finished(self, event: Mapping[str, Any]) -> None:
        self.summary = dict(event["summary"])
        found = rows_of(self.summary)
        for kind, section in _SECTIONS.items():
            for name, rows in found[section].items():
                counts = ", ".join(f"{count:,} {column.removeprefix('rows_')}" for column, count in rows.items() if count)
                self._log(logging.INFO, f"{kind} {name}: {counts or 'no rows'}")
        verb = "stopped" if found["stopped"] else "finished"
        self._log(logging.INFO, f"{found['pipeline']} {verb}: {found['epochs']} epochs in {found['seconds']:.2f} s")

    def _failed(self, event: Mapping[str, Any]) -> None:
        # The child writes the same to standard error, for people: it is in the log already.
        self.failure = dict(event)

"""The operator: one command of ``wasmill`` as a task."""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.sdk.log import mask_secret

from wasmill_airflow.child import Child
from wasmill_airflow.events import RunLog, event_in, rows_of
from wasmill_airflow.exits import exit_of

if TYPE_CHECKING:
    from airflow.sdk import Context

Command = Literal["run", "check", "preview", "report"]
_COMMANDS: tuple[Command, ...] = ("run", "check", "preview", "report")
_HIDDEN = "***"


class WasmillOperator(BaseOperator):
    """Runs, checks or previews a Wasmill pipeline, or writes a page about it.

    A run returns its rows as XCom: ``{"pipeline", "mode", "stopped", "epochs", "seconds", "sources", "stages", "sinks", "dead_letters"}``, where each of the last four maps names
    to ``{"rows_in", "rows_added", "rows_out", "rows_rejected", "rows_filtered", "rows_aggregated"}``. A check returns its numbers of
    findings, and a report the path of its page.

    A failure of the environment or a bug raises ``AirflowException``, which Airflow retries. Where a person has to act (the pipeline file, a plugin, too many rejects), it raises
    ``AirflowFailException``, and the task fails at once. Every run resumes behind the last checkpoint: a retry reads no record twice into a sink that is exactly-once.

    :param pipeline: the pipeline file.
    :param command: ``run``; ``check``, which touches nothing; ``preview``, which logs the rows of each sink and writes nothing; or ``report``, which writes a page about the last run and
        what the sinks hold now.
    :param page: the file of a report, from the working directory.
    :param sets: values that override those of the file, by their paths (``{"sources.pins.files.path": "data/*.jsonl"}``). ``None`` unsets one. They are on the command line, which every
        process of the machine can read: no secrets.
    :param mode: ``batch`` or ``stream``; default: that of the file.
    :param drain: whether a stream ends once it has read what is there (``--drain``).
    :param limit: ends a run or a preview after so many source records.
    :param offline: whether a check contacts no server.
    :param state: the folder or ``s3://`` prefix of the checkpoints; default: that of the file. Workers on several machines need one that they share.
    :param plugins: folders of plugins.
    :param working_directory: where relative paths of the pipeline begin; default: the worker's.
    :param environment: variables for the pipeline's ``${env:NAME}``, beside those of the worker. Airflow shows them.
    :param secrets: variables for its ``${secret:NAME}``. They appear in no log, and masked among the rendered templates.
    :param binary: the program.
    :param stop_within: how long a killed task has for finishing its epoch, before it is ended by force. Nothing is lost then either.
    :param progress_every: the least time between two lines of progress.
    """

    template_fields: Sequence[str] = ("pipeline", "sets", "state", "plugins", "working_directory", "environment", "secrets", "binary", "page")
    template_fields_renderers = {"sets": "json", "environment": "json"}
    template_ext: Sequence[str] = ()
    ui_color = "#d8e8d0"

    def __init__(
        self,
        *,
        pipeline: str,
        command: Command = "run",
        page: str | None = None,
        sets: Mapping[str, Any] | None = None,
        mode: Literal["batch", "stream"] | None = None,
        drain: bool = False,
        limit: int | None = None,
        offline: bool = False,
        state: str | None = None,
        plugins: Sequence[str] = (),
        working_directory: str | None = None,
        environment: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        binary: str = "wasmill",
        stop_within: timedelta = timedelta(minutes=2),
        progress_every: timedelta = timedelta(seconds=10),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if command not in _COMMANDS:
            raise ValueError(f"command={command!r}: it has to be one of {', '.join(_COMMANDS)}")
        if offline and command != "check":
            raise ValueError(f"offline=True goes with command='check' only, not with {command!r}")
        if limit is not None and command in ("check", "report"):
            raise ValueError("limit goes with command='run' and 'preview' only")
        if (page is None) == (command == "report"):
            raise ValueError("page goes with command='report', which needs it")
        if drain and command in ("preview", "report"):
            raise ValueError("drain goes with command='run' and 'check' only")
        self.pipeline = pipeline
        self.command = command
        self.page = page
        self.sets = sets
        self.mode = mode
        self.drain = drain
        self.limit = limit
        self.offline = offline
        self.state = state
        self.plugins = plugins
        self.working_directory = working_directory
        self.environment = environment
        self.secrets = secrets
        self.binary = binary
        self.stop_within = stop_within
        self.progress_every = progress_every
        self._child: Child | None = None
        self._killed = False

    def execute(self, context: "Context") -> Any:
        """Runs the command. Returns what is pushed as XCom."""
        hidden = self._hide()
        run = RunLog(lambda level, text: self.log.log(level, "%s", self._clean(text, hidden)), self.progress_every)
        printed: list[str] = []
        command = self.command_line()
        self.log.info("%s", self._clean(" ".join(command), hidden))
        try:
            self._child = Child(command, self.working_directory, self._environment(), self.stop_within)
        except OSError as error:
            raise AirflowException(f"cannot start {self.binary}: {error}") from None
        try:
            for stream, line in self._child.lines():
                event = event_in(line) if stream == "stdout" and self.command == "run" else None
                if event is not None:
                    run.add(event)
                elif stream == "stdout" and self.command == "check":
                    printed.append(line)
                elif line.strip():
                    self.log.log(logging.INFO if stream == "stdout" else logging.WARNING, "%s", self._clean(line, hidden))
            status = self._child.wait()
        finally:
            # An exception may come from outside: a time-out of the task, say.
            self._child.stop()
            self._child = None
        if self._killed:
            raise AirflowException("the task was killed; the next run resumes where this one ended")
        return self._result(status, run, printed, hidden)

    def on_kill(self) -> None:
        """Has the run finish its epoch and end."""
        self._killed = True
        if self._child is not None:
            self.log.info("stopping wasmill: it finishes its epoch, for at most %s", self.stop_within)
            self._child.stop()

    def command_line(self) -> list[str]:
        """The command line of the child. It holds no secrets."""
        options: list[str] = []
        for path, value in (self.sets or {}).items():
            # The value is YAML, of which JSON is a part.
            options += ["--set", f"{path}={'' if value is None else json.dumps(value, ensure_ascii=False)}"]
        for name, text in (("mode", self.mode), ("state", self.state), ("limit", self.limit)):
            if text is not None:
                options += [f"--{name}", str(text)]
        for folder in self.plugins:
            options += ["--plugins", folder]
        is_json = self.command in ("run", "check")
        flags = {"drain": self.drain, "offline": self.offline, "preview": self.command == "preview", "json": is_json}
        options += [f"--{name}" for name, is_set in flags.items() if is_set]
        if self.page is not None:
            options += ["--output", self.page]
        return [self.binary, "run" if self.command == "preview" else self.command, self.pipeline, *options]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "NO_COLOR": "1", **(self.environment or {}), **(self.secrets or {})}

    def _hide(self) -> list[str]:
        """Has Airflow mask the secrets wherever it writes, and returns them, the longest first."""
        hidden = {value for value in (self.secrets or {}).values() if value.strip()}
        # Lines of a secret, such as those of a key, are printed one at a time.
        hidden |= {line.strip() for value in hidden for line in value.splitlines() if len(line.strip()) >= 4}
        for value in hidden:
            mask_secret(value)
        return sorted(hidden, key=len, reverse=True)

    @staticmethod
    def _clean(text: str, hidden: Sequence[str]) -> str:
        for value in hidden:
            text = text.replace(value, _HIDDEN)
        return text

    def _result(self, status: int, run: RunLog, printed: list[str], hidden: Sequence[str]) -> Any:
        findings = self._findings("\n".join(printed), hidden) if self.command == "check" else None
        if status != 0:
            raise self._failure(status, run, hidden)
        if self.command == "check":
            return findings
        if self.command == "preview":
            return None
        if self.page is not None:
            return os.path.abspath(os.path.join(self.working_directory or ".", self.page))
        if run.summary is None:
            raise AirflowException(f"{self.binary} ended with exit status 0 and no summary: nothing says that the run is complete")
        if run.summary["stopped"] and run.summary["mode"] == "batch":
            raise AirflowException("the batch was stopped from outside before its input ended; the next run resumes where this one ended")
        return rows_of(run.summary)

    def _failure(self, status: int, run: RunLog, hidden: Sequence[str]) -> AirflowException:
        found = exit_of(status)
        text = f"wasmill {self.command} {self.pipeline}: {found.name} (exit status {status}), {found.who} has to act"
        if run.failure is not None:
            code = f"[{run.failure['code']}] " if run.failure.get("code") else ""
            text += f": {code}{run.failure['message']}"
        text = self._clean(text, hidden)
        return AirflowException(text) if found.is_retried else AirflowFailException(text)

    def _findings(self, printed: str, hidden: Sequence[str]) -> dict[str, int] | None:
        """Logs what a check has found. Returns how many of each kind."""
        try:
            report = json.loads(printed)
        except ValueError:
            self.log.warning("%s", self._clean(printed, hidden))
            return None
        levels = {"error": logging.ERROR, "warning": logging.WARNING}
        for finding in report["diagnostics"]:
            at = finding["at"]
            place = f"{at['file']}:{at['line']}:{at['column']}: " if at else ""
            helps = f"\n  allowed: {finding['allowed']}" if finding["allowed"] else ""
            helps += f"\n  did you mean `{finding['did_you_mean']}`?" if finding["did_you_mean"] else ""
            helps += "".join(f"\n  help: {text}" for text in finding["help"])
            text = f"{place}{finding['level']}[{finding['code']}]: {finding['message']}{helps}"
            self.log.log(levels.get(finding["level"], logging.INFO), "%s", self._clean(text, hidden))
        return {"errors": report["errors"], "warnings": report["warnings"], "not_checked": len(report["not_checked"])}

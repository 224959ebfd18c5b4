"""Something that is certain to happen while Spark is in the middle of an operation: behind its read of the table's version, before its commit."""

import threading
import time
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql.types import LongType

PATIENCE = 60


class Meanwhile:
    """Inside of it, SQL has a function `meanwhile(number)`, which returns the number. Its first call waits until `action` has been done, by a thread of the driver.

    At the end it has been done, or that it was not is an error. It stands in conditions only where one file is read: in rows behind a function of Python,
    Spark mistakes which of several files they come from (`input_file_name`), and DELETE and UPDATE then rewrite the wrong ones.
    """

    def __init__(self, spark: SparkSession, folder: Path, action):
        self.spark, self.action, self.error = spark, action, None
        name = f"meanwhile-{time.monotonic_ns()}"
        self.asked, self.done, self.ended = (folder / f"{name}.{what}" for what in ["asked", "done", "ended"])
        self.thread = threading.Thread(target=self.act, daemon=True)

    def act(self) -> None:
        try:
            deadline = time.monotonic() + PATIENCE
            while not self.asked.exists():
                assert not self.ended.exists(), "the operation ended and did not ask"
                assert time.monotonic() < deadline, f"the operation did not ask within {PATIENCE} s"
                time.sleep(0.02)
            self.action()
        except BaseException as error:
            self.error = error
        finally:
            self.done.touch()

    def __enter__(self) -> None:
        asked, done, patience = str(self.asked), str(self.done), 2 * PATIENCE

        # It runs in a process of its own, which knows nothing of this file.
        def meanwhile(number):
            import os
            import time

            try:
                os.close(os.open(asked, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return number
            deadline = time.monotonic() + patience
            while not os.path.exists(done):
                if time.monotonic() > deadline:
                    raise TimeoutError("nothing happened meanwhile")
                time.sleep(0.02)
            return number

        self.spark.udf.register("meanwhile", meanwhile, LongType())
        self.thread.start()

    def __exit__(self, kind, error, trace) -> None:
        self.ended.touch()
        self.thread.join(2 * PATIENCE)
        assert not self.thread.is_alive(), "what should happen meanwhile does not end"
        if self.error:
            raise self.error

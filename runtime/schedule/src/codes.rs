//! The kinds of errors of schedules.

wasmill_engine::codes! {
    HISTORY_DAMAGED = "schedule/history-damaged",
        "A line of the history of a schedule is not what was written: the file was changed, or a newer Wasmill wrote it.",
        "Restore the file from a backup, or run the newer version. Without the file, the schedule starts over: times that have passed are forgotten.";
    JOB_IS_RUNNING = "schedule/job-is-running",
        "The job was to be run at once, and a process of an earlier run of it still lives: runs of a job do not overlap.",
        "Wait for that run, or end the process that the message names.";
}

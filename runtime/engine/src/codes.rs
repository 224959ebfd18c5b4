//! The kinds of errors of runs and states, and those of the machine below them.

wasmill_error::codes! {
    DISK = "machine/disk",
        "The operating system failed to create, write, sync, move or remove a file or folder: no space, no permission, or a failing disk.",
        "Free space or correct the permissions of the place that the message names, then start again. The run resumes behind its last checkpoint.";
    THREADS = "machine/threads",
        "The operating system did not start another thread: the process, the user or the container has reached its limit.",
        "Raise the limit (`ulimit -u`, or the `pids` limit of the container), or lower `lanes`.";
    BATCH_TOO_LARGE = "rejects/batch-too-large",
        "The rejected records of one batch do not fit into one batch of dead letters, which holds 2 GiB.",
        "Reduce `batch_rows` or `max_record`.";
    DEAD_LETTERS_REFUSE = "rejects/dead-letters-refuse",
        "The sink under `dead_letters` rejected a row. A rejected dead letter has no other place to go.",
        "Use a sink that takes any text: `dead_letters: { files: { path: out/dead_letters, format: jsonl } }`.";
    NO_DEAD_LETTERS = "rejects/no-dead-letters",
        "A record was rejected, and the pipeline has no `dead_letters` to keep it in. Nothing is dropped silently, so the run stops.",
        "Add `dead_letters`, or correct the record at the position that the message names.";
    TOO_MANY = "rejects/too-many",
        "A source or a stage rejected a larger share of its rows than `max_reject_share` allows. Most often its `schema`, `format` or topic is wrong.",
        "Read the dead letters of that epoch. Correct the pipeline, or raise `max_reject_share` where such a share is normal.";
    PREPARED_FILE_DAMAGED = "sink/prepared-file-damaged",
        "A file with rows that await their commit has changed since it was written: another program modified it, or the disk lost a part of it.",
        "Restore the file and start again. Without it, `wasmill state reset` drops its rows and starts over.";
    PREPARED_FILE_GONE = "sink/prepared-file-gone",
        "A file with rows that await their commit is neither where it was written nor at its destination: something removed it.",
        "Restore the file and start again. Without it, `wasmill state reset` drops its rows and starts over.";
    STATE_DAMAGED = "state/damaged",
        "A file of the state does not hold what was written into it: it was changed, truncated, renamed, or written by a newer Wasmill.",
        "Restore it from a backup, or run the newer version. `wasmill state reset` starts over, and rows that the sinks hold are written again.";
    STATE_DISAGREEMENT = "state/disagreement",
        "A sink's token is not the one that the state expects: the state was lost or is an old copy, or the table was replaced.",
        "Restore the one that is wrong, accept the sink with `wasmill state adopt`, or start over with `wasmill state reset`.";
    STATE_IN_USE = "state/in-use",
        "Another process holds the lock of the state folder, so that it runs this pipeline or this schedule now.",
        "Wait for it or stop it. A second pipeline needs a `name`, or a `--state` folder, of its own.";
    STATE_MISSING = "state/missing",
        "The command changes a state, and there is no state at this place.",
        "Check `--state` and the pipeline's `name`, which names its folder.";
    STATE_NOT_WRITABLE = "state/not-writable",
        "A checkpoint can't be written into the state folder: no space, no permission, or a file system that is read-only.",
        "Free space or correct the permissions, or name another folder with `--state`. The next run resumes behind the last checkpoint.";
    STATE_OF_OTHER_PIPELINE = "state/other-pipeline",
        "The state was written by a pipeline of another name: its folder was renamed or copied, or the pipeline was renamed.",
        "Give the pipeline its old `name`, or choose another folder with `--state`.";
    STATE_OF_OTHER_SOURCE = "state/other-source",
        "When the checkpoint was written, the source of this name was of another kind, so its positions do not apply to this one.",
        "Put the old source back, give the new one another name, or start over with `wasmill state reset`.";
    STATE_OF_OTHER_STAGE = "state/other-stage",
        "The state holds groups or rows of a stage that does other work now, or was removed. Its keys, its window, its computation or its plugin's state \
         version changed, and another computation can't finish what is there.",
        "Put the stage back as it was and let it finish. `wasmill state drop-stage PIPELINE STAGE` gives up what the stage holds.";
    STATE_PENDING_COMMIT = "state/pending-commit",
        "A sink is no longer in the pipeline, and the last epoch may not be committed to it yet. Without the sink those rows would be lost.",
        "Put the sink back and run once, then remove it. `wasmill state adopt` drops that commit.";
    STATE_SOURCE_KNOWN = "state/source-known",
        "A source can't take a name under which the state already holds progress.",
        "If that progress is not needed, drop it first: `wasmill state drop-source PIPELINE NAME`.";
    STATE_SOURCE_RENAMED = "state/source-renamed",
        "The state holds progress of a source that the pipeline lacks, and the pipeline has a source that the state \
            lacks. If it was renamed, it would be read a second time.",
        "If it was renamed: `wasmill state rename-source PIPELINE OLD NEW`. If it was removed: `wasmill state drop-source PIPELINE OLD`.";
    STATE_SOURCE_UNKNOWN = "state/source-unknown",
        "The state has no source of the name in the command.",
        "Use one of the names that the message lists.";
    STATE_STAGE_UNKNOWN = "state/stage-unknown",
        "The command names a stage of which the state holds nothing.",
        "Use one of the names that the message lists.";
    STATE_TAKEN_OVER = "state/taken-over",
        "Another process started this pipeline with the same state and wrote a newer epoch, so that this one stopped before it could commit anything.",
        "Leave the other process running, or stop both and start one.";
}

//! The kinds of errors of commands themselves.

wasmill_engine::codes! {
    ARGUMENT = "command/argument",
        "An argument of the command is missing, is unknown, or does not go with another one or the pipeline.",
        "Correct it as the message says; `wasmill COMMAND --help` lists the arguments.";
    DESTROYS = "command/destroys",
        "The command would remove records permanently, and was not confirmed.",
        "Repeat it with `--yes` if that is meant.";
    ENV_FILE = "command/env-file",
        "A line of a file of `--env-file` is not `NAME=value`, or its value refers to another variable, which is not done.",
        "Put values with spaces, quotes, `#` or `$` in single quotes, which keep them as they are.";
    FILE_EXISTS = "command/file-exists",
        "A file of the name that the command would write exists already, and it never overwrites.",
        "Name another file, or remove that one.";
    HEARTBEAT = "command/heartbeat",
        "The file that `wasmill health` was given is not one that `wasmill run --heartbeat` writes, or can't be read.",
        "Name the same file in both commands, and let the user of the probe read it.";
    NOT_A_RUN = "command/not-a-run",
        "The file of `--run` holds no event `finished` or `failed`: no run ended in it.",
        "Name a file that holds the whole output of `wasmill run --json`.";
    NOT_IN_PIPELINE = "command/not-in-pipeline",
        "The pipeline has no source or sink of the name or the connector that the command needs.",
        "Correct the name: the message lists those that are there.";
    PIPELINE_MISTAKES = "command/pipeline-mistakes",
        "The command needs parts of a pipeline that have mistakes.",
        "Correct what is reported above the error, and repeat the command.";
}

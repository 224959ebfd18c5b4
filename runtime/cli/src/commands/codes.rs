//! The kinds of errors of commands themselves.

wasmill_engine::codes! {
    ARGUMENT = "command/argument",
        "An argument of the command is missing, is none that it knows, or stands beside another one or a pipeline that it does not go with.",
        "Correct it as the message says; `wasmill COMMAND --help` lists the arguments.";
    DESTROYS = "command/destroys",
        "The command would remove records for good, and was not told that it may.",
        "Repeat it with `--yes` if that is meant.";
    FILE_EXISTS = "command/file-exists",
        "A file of the name that the command would write is there already, and it writes over none.",
        "Name another file, or remove that one.";
    NOT_IN_PIPELINE = "command/not-in-pipeline",
        "The pipeline has no source or sink of the name or the connector that the command needs.",
        "Correct the name: the message lists those that are there.";
    PIPELINE_MISTAKES = "command/pipeline-mistakes",
        "The command needs parts of a pipeline that have mistakes.",
        "Mend what is reported above the error, and repeat the command.";
}

"""Exit statuses of ``wasmill``: who has to act, and whether another try can help."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Exit:
    """What an exit status means."""

    name: str
    """The class of errors."""
    is_retried: bool
    """Whether the same command may go well later, although nobody changed anything."""
    who: str
    """Who has to act."""


EXITS: dict[int, Exit] = {
    2: Exit("configuration", False, "the author of the pipeline file"),
    3: Exit("plugin refusal", False, "the author of the pipeline file: a plugin does not accept its configuration or its columns"),
    4: Exit("plugin fault", False, "the author of the plugin"),
    5: Exit("environment", True, "the operator: a file, a disk, a server, a permission"),
    6: Exit("too many rejects", False, "the owner of the data"),
    70: Exit("bug", True, "the authors of Wasmill"),
}
"""The classes of errors by their exit statuses, as ``wasmill --help`` lists them."""


def exit_of(status: int) -> Exit:
    """What a status other than 0 means. A negative one is the number of the signal that ended the process, as in :mod:`subprocess`.

    After any status a further run resumes behind the last checkpoint, so what is not known is retried.
    """
    if status in EXITS:
        return EXITS[status]
    if status < 0:
        return Exit(f"ended by signal {-status}", True, "the operator")
    if status == 130:
        return Exit("stopped at once by a second signal", True, "nobody: the next run resumes")
    return Exit("unknown", True, "the operator")

"""The one kind of error that is the user's to mend."""

from __future__ import annotations


class InputError(Exception):
    """What was given cannot be used: a file, a setting, a data set, a model.

    The command line shows it as one paragraph, without a traceback, and exits with 2.

    Args:
        message: what is wrong and where (file, key, line, record, layer).
        hint: what would be right, or what to do next.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


def pass_interrupt(error: BaseException) -> None:
    """Raise KeyboardInterrupt where that is what stands behind an error.

    For whoever catches everything: h5py makes a SystemError of a Ctrl-C in the wrong moment.
    """
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        behind = behind.__cause__ or behind.__context__

"""The errors a user can mend.

Every message names the place (file and key, or program) and the mend, in one line.
The command line turns them into that line and exit code 2; anything else is a bug and keeps its traceback.
"""


class SolvationError(Exception):
    """Base of every error a user can mend; its text is all the user sees."""


class StudyError(SolvationError, ValueError):
    """The study file, or an argument that stands for a part of it, is wrong."""


class SpeciesError(SolvationError, ValueError):
    """A species cannot be what its SMILES, file, charge or multiplicity says."""


class StructureError(SolvationError, ValueError):
    """A structure or cluster cannot be built, or none of the candidates survived its checks."""


class EngineError(SolvationError, RuntimeError):
    """Base of what goes wrong in a program that computes energies."""


class EngineMissing(EngineError):
    """A program or package is not installed, or does not start; the message says how to mend that."""


class EngineFailed(EngineError):
    """A program ran and gave no usable number; the message carries its own last words."""


class Killed(SolvationError, RuntimeError):
    """Somebody ended a program while it ran: the queue, the kernel for want of memory, a person; another try is due.

    It says nothing of the structure or the level, so it is no failure of the step: that stops, and is made again.
    """

    def __init__(self, what: str) -> None:
        """Say what was killed."""
        super().__init__(
            f"{what} was killed: by the queue, for want of memory, or by hand; run the study again, with more memory "
            "if it was that"
        )


class TrajectoryError(SolvationError, ValueError):
    """A trajectory, its topology or a selection of atoms cannot be analysed."""


class ResultsError(SolvationError, RuntimeError):
    """A results folder is missing something, belongs to another study, or mixes levels of theory."""


class OutOfTime(SolvationError, RuntimeError):
    """The time that a queue granted ends before the work does; what was done is kept, and the same call goes on."""


class StepFailed(SolvationError, RuntimeError):
    """A step of a study cannot be done because one that it needs failed.

    Attributes
    ----------
    origin
        The step that failed first.
    reason
        Why it did.
    """

    def __init__(self, origin: str, reason: str) -> None:
        """Say both in one line."""
        super().__init__(f"{origin} failed: {reason}")
        self.origin, self.reason = origin, reason


def in_short(problem: BaseException) -> str:
    """What a reader of another package says of a file, in one short line, whatever kind of exception it raises."""
    if isinstance(problem, StopIteration) or isinstance(problem.__cause__, StopIteration):
        return "it ends too early"
    return " ".join(str(problem).split())[:200] or "it is not of that format"


def printable(text: str) -> str:
    """Text with what a terminal would obey made visible; lines stay lines."""
    return "".join(letter if letter.isprintable() or letter == "\n" else f"\\x{ord(letter):02x}" for letter in text)

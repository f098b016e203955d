"""What comes of compiling and running a model, judged in a process of its own."""

import contextlib
import dataclasses
import multiprocessing
import multiprocessing.connection
import os
import signal
import time

SECONDS = 120  # that one case may take


@dataclasses.dataclass(frozen=True)
class Outcome:
    """status: passed, refused (`detail` says why it cannot be compiled) or wrong (anything else)."""

    status: str
    detail: str = ""


def _send(connection, judge, case):
    os.setsid()  # what it starts ends with it
    connection.send(judge(case))


class _Trial:
    """judge(case) in a process of its own: a crash or a hang is this case's alone."""

    def __init__(self, judge, case):
        context = multiprocessing.get_context("fork")
        self.receiver, sender = context.Pipe(duplex=False)
        self.process = context.Process(
            target=_send, args=(sender, judge, case), daemon=True
        )
        self.process.start()
        sender.close()
        self.deadline = time.monotonic() + SECONDS

    def outcome(self) -> Outcome | None:
        """None while it runs and may go on."""
        try:
            if self.receiver.poll(0):
                return self.receiver.recv()
        except EOFError:
            self.process.join()
            return Outcome("wrong", f"the process ended with {self.process.exitcode}")
        if time.monotonic() < self.deadline:
            return None
        return Outcome("wrong", f"no answer after {SECONDS} s")

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()  # it may not have come to its group
        self.process.join()
        self.receiver.close()


def outcomes(judge, cases, jobs: int):
    """The cases with their outcomes, in order, `jobs` at once. One thread starts them all: a process forked beside
    another thread may inherit a lock that nobody gives back."""
    cases = list(cases)
    waiting, trials, found = list(enumerate(cases)), {}, {}
    try:
        for index, case in enumerate(cases):
            while index not in found:
                while waiting and len(trials) < max(jobs, 1):
                    following, other = waiting.pop(0)
                    trials[following] = _Trial(judge, other)
                _collect(trials, found)
            yield case, found.pop(index)
    finally:
        for trial in trials.values():
            trial.end()


def _collect(trials, found):
    """Moves what has ended from `trials` to `found`, both by index; waits a little for it."""
    multiprocessing.connection.wait([t.receiver for t in trials.values()], timeout=1)
    for index, trial in list(trials.items()):
        outcome = trial.outcome()
        if outcome is not None:
            found[index] = outcome
            trials.pop(index).end()

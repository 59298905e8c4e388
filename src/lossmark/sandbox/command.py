"""A program of any language that speaks lines of JSON, to the suite a worker like any other.

It is asked through its standard input and answers through its standard output; ``json_lines`` says what. Its standard
error is its own: the last line of it is shown if the program ends.
"""

from __future__ import annotations

import io
import os
import shlex
import shutil
from collections.abc import Callable, Mapping
from typing import Any

from ..adapters.registry import Reference
from ..adapters.runtime import COMMAND
from ..errors import LoadError
from .channel import AHEAD, Looking
from .guarded import Guarded
from .json_lines import Greeting, answered, greeted, greeting, most_bytes, question
from .messages import Answer, Array, Failure, Hello, Message, Outcome, Probe, Probed, Reply, Task
from .schema import Unfit

SCRIPT = """exec 7>&1 8<&0 9<&2 2>>"$1" </dev/null >/dev/null
shift
{ read -r _ <&9; kill -9 0; } 7>&- 8<&- &
"$@" <&8 >&7 7>&- 8<&- 9<&- &
exec 7>&- 8<&-
wait $!; exit $?"""
"""A shell between the judge and the program, for what :data:`.process.GUARD` is for. It holds neither of the program's
pipes open, so that a program that closes its standard output is seen to have done so."""


class CommandWorker(Guarded):
    """The process of a program. ``reference.source`` is its command line, which no shell reads.

    ``offer`` is what a running program has.
    """

    def __init__(self, reference: Reference, environment: Mapping[str, str] | None = None):
        super().__init__(reference, environment)
        self.offer: Greeting | None = None
        self._raw: Looking | None = None
        self._reader: io.BufferedReader | None = None
        self._number = 0

    def _greeted(self) -> Hello:
        questions, to_program = os.pipe()
        from_program, answers = os.pipe()
        self._raw = Looking(from_program, to_program)
        self._reader = io.BufferedReader(self._raw, AHEAD)
        self._launch(SCRIPT, words_of(self.reference.source), questions, answers)
        self._number = 0
        found = self._asked(greeting(0), greeted, self.limits.starting, self.limits.starting_idle)
        if isinstance(found, Failure):
            return Hello(error=str(found))
        self.offer = found
        return Hello(("cpu",))

    def ask(self, message: Message) -> Reply | Failure:
        """The reply to a message, or how the process was lost. Every call has the time of a message of its own."""
        hello = self.start()
        if hello.error:
            return self._lost(Failure("crashed", "", f"the program did not start: {hello.error}"))
        if isinstance(message, Probe):
            outcomes: list[Outcome] = []
            for keywords in message.calls:
                found = self._call(message, keywords)
                if isinstance(found, Failure):
                    return self._lost(found)
                outcomes.append(found[0])
            return Probed(outcomes)
        assert isinstance(message, Task), "what needs tensors or a graph is not planned for a program"
        values: dict[str | None, Outcome] = {}
        gradients: dict[str | None, Mapping[str, Array] | Failure] = {}
        for reduction in message.reductions:
            extra = {} if reduction is None else {"reduction": reduction}
            wrt = message.wrt if reduction in message.slopes else ()
            weights = message.cotangent if reduction == "none" else None
            found = self._call(message, {**message.inputs, **message.params, **extra}, wrt, weights)
            if isinstance(found, Failure):
                return self._lost(found)
            values[reduction] = found[0]
            if wrt:
                gradients[reduction] = found[1]
        return Answer(values, gradients)

    def _call(
        self,
        message: Task | Probe,
        keywords: Mapping[str, Any],
        wrt: tuple[str, ...] = (),
        weights: Array | None = None,
    ) -> tuple[Outcome, Mapping[str, Array] | Failure] | Failure:
        """The value and the gradient of one call, or how the process was lost."""
        self._number += 1
        line = question(self._number, message.loss, keywords, wrt, weights)

        def read(answer: bytes, number: int) -> Any:
            return answered(answer, number, wrt)

        found: tuple[Outcome, Mapping[str, Array] | Failure] | Failure
        found = self._asked(line, read, self._seconds(message), self.limits.idle)
        return found

    def _asked(self, line: bytes, read: Callable[[bytes, int], Any], seconds: float, idle_seconds: float) -> Any:
        """What ``read`` makes of the answer to a line, or a failure."""
        raw, reader = self._raw, self._reader
        assert raw is not None
        assert reader is not None
        most = most_bytes(line)

        def talk(look: Callable[[], None]) -> object:
            raw.watched_by(None)
            if reader.peek(1):
                raise Unfit("more answers than questions")
            raw.watched_by(look)
            raw.send(memoryview(line))
            found = reader.readline(most + 1)
            if len(found) > most:
                raise Unfit(f"an answer of more than {most} bytes")
            if not found.endswith(b"\n"):
                raise EOFError("it closed its standard output" + (" within a line" if found else ""))
            return read(found, self._number)

        return self._watched(talk, seconds, idle_seconds)

    def _hang_up(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._raw = self._reader = self.offer = None


def words_of(command: str) -> list[str]:
    """The words of a command line; raises :class:`LoadError` where it has none, or its program is not there."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise LoadError(f"--command {command!r}: {error}") from None
    if not words:
        raise LoadError("--command: no program is named")
    if shutil.which(words[0]) is None:
        raise LoadError(f"--command: there is no program {words[0]!r}, or it cannot be run")
    return words


def offered(command: str, name: str) -> tuple[Reference, Greeting]:
    """A program as an implementation, with what it says that it has; raises :class:`LoadError` if it says nothing."""
    worker = CommandWorker(Reference(command, name, COMMAND.name))
    try:
        words_of(command)
        hello = worker.start()
        if worker.offer is None:
            raise LoadError(f"--command {command!r} does not say what it has: {hello.error}")
        return worker.reference, worker.offer
    finally:
        worker.stop()

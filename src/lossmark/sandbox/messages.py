"""The messages between the process that judges and the process that runs code under test.

The judge starts a worker and sends :class:`Start`; the worker says :class:`Hello`, and then sends one reply for each
message. The types of the fields are the schema that a message is read by. Base and head of a gate are processes of two
revisions; :data:`PROTOCOL`, which every message carries, tells whether they understand each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
"""Numbers on the host. Not ``numpy.typing.NDArray``, which since NumPy 2.5 is an alias that hides its type."""
USES = ("differentiated once", "differentiated again", "accumulated", "before another", "after another")
"""What is done with the graph of a call. ``accumulated`` are the gradients of two equal calls; in the last two both
calls are made before either is differentiated, and what is told is the gradient of the first, and of the other."""


@dataclass(frozen=True)
class Hello:
    """The first message from a worker: what it has, or why it can do nothing."""

    devices: tuple[str, ...] = ()
    """``cpu``, and ``gpu`` where the framework can use one."""
    setup: Mapping[str, str] = field(default_factory=dict)
    """The numeric settings that the worker has made, by name."""
    error: str = ""
    """Why it can do nothing; empty if it can."""


@dataclass(frozen=True)
class Start:
    """The first message to a worker: its framework, and which names, files or modules to load."""

    framework: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """One case in one mode: value and gradient under each reduction.

    ``impl`` and ``loss`` name the function, ``params`` its parameters, ``inputs`` its inputs in the dtype under test;
    ``wrt`` names the inputs to differentiate by; ``cotangent`` [B] weighs the losses of the examples under ``none``.
    ``reductions`` holds the reductions that the function takes; ``(None,)`` where it has no such argument.
    """

    impl: str
    loss: str
    params: Mapping[str, Any]
    inputs: Mapping[str, Array]
    wrt: tuple[str, ...]
    cotangent: Array
    reductions: tuple[str | None, ...]
    slopes: tuple[str | None, ...]
    """The reductions whose gradient is asked for."""
    mode: str
    device: str
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Arguments that are given the very tensor of another input: argument → input."""
    layout: str = ""
    """The memory layout of the inputs that can have it, one of the framework's."""
    factor: float = 1.0
    """What the loss is multiplied by before it is differentiated: a power of two, so that this rounds nothing."""
    directions: Mapping[str, Array] = field(default_factory=dict)
    """If any, instead of gradients of the loss those of ⟨its gradient, directions⟩ are asked for."""
    others: Mapping[str, Array] = field(default_factory=dict)
    """If any, the gradients of one reduction are asked for in each of :data:`USES`, beside a call with these inputs."""


@dataclass(frozen=True)
class Probe:
    """Single calls of the function with the given keywords; arrays among them become tensors on the device."""

    impl: str
    loss: str
    calls: tuple[Mapping[str, Any], ...]
    device: str


@dataclass(frozen=True)
class Watch:
    """A call with the given keywords: what does it leave changed in the process?"""

    impl: str
    loss: str
    keywords: Mapping[str, Any]
    device: str


@dataclass(frozen=True)
class Failure:
    """A call that gave no result."""

    kind: Literal["raised", "fell back", "crashed", "timed out"]
    """``fell back`` is for a mode or device that the function cannot be run in."""
    type: str = ""
    """The name of the exception's class, if there was one."""
    message: str = ""

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.type else self.message


@dataclass(frozen=True)
class Returned:
    """A result as it came: its numbers, and what it was."""

    array: Array | None
    """None where it is neither a tensor nor a number."""
    native: bool
    """Whether it is a tensor of the framework."""
    dtype: str
    shape: tuple[int, ...]
    device: str


Outcome = Returned | Failure


@dataclass(frozen=True)
class Answer:
    """The results of a task, by reduction; gradients also by name of input (absent: 0)."""

    values: Mapping[str | None, Outcome]
    gradients: Mapping[str | None, Mapping[str, Array] | Failure]
    beside: Mapping[str | None, Outcome] = field(default_factory=dict)
    """The value that the differentiated call returned beside its gradient."""
    modified: tuple[str, ...] = ()
    """Inputs that a call changed."""

    @property
    def failure(self) -> Failure | None:
        """How the first call failed, if all did: nothing can then be said of what they do beside."""
        found = [*self.values.values(), *self.gradients.values(), *self.beside.values()]
        failures = [outcome for outcome in found if isinstance(outcome, Failure)]
        return failures[0] if failures and len(failures) == len(found) else None


@dataclass(frozen=True)
class Probed:
    """The results of a probe's calls, in their order."""

    outcomes: Sequence[Outcome]


@dataclass(frozen=True)
class Watched:
    """What loading the implementation, and calls of the function, have changed, a line each."""

    wrong: Sequence[str]
    additions: Sequence[str]


@dataclass(frozen=True)
class Stored:
    """An array in a file that many processes map, so that they hold it once together."""

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @classmethod
    def written(cls, array: Array, path: Path) -> Stored:
        """Write the array to a file; the object says how to read it."""
        array.tofile(path)
        return cls(path, array.dtype, array.shape)

    def mapped(self) -> Array:
        """The array, read from the file as it is needed; it cannot be written to."""
        return np.asarray(np.memmap(self.path, np.uint8, "r")).view(self.dtype).reshape(self.shape)


@dataclass(frozen=True)
class Stage:
    """Make ready to time the mean of a loss, with its gradient by ``wrt`` if ``backward``, over batches in turn."""

    impl: str
    loss: str
    batches: tuple[Mapping[str, Array | Stored], ...]
    wrt: tuple[str, ...]
    backward: bool = True
    mode: str = "eager"
    device: str = "cpu"


@dataclass(frozen=True)
class Staged:
    """The stage is ready."""


@dataclass(frozen=True)
class Timing:
    """Time blocks of calls of the stage; ``show`` asks for the gradient of the last call, which may be large.

    ``core`` is the processor that the calling thread is bound to, where the system can do that; ``turn`` the number of
    the first call, which says what its inputs are (None: the next).
    """

    calls: int
    blocks: int
    show: bool = False
    core: int | None = None
    turn: int | None = None


@dataclass(frozen=True)
class Timed:
    """Seconds of one call in the fastest block; the last call, by its number, with what it gave and changed."""

    seconds: float
    turn: int
    value: Outcome
    gradient: Mapping[str, Array] | Failure
    modified: tuple[str, ...] = ()
    values: Mapping[int, Array] = field(default_factory=dict)
    """What every call gave that gave a tensor, by its number."""
    cores: float = 0.0
    """Seconds of processors used over seconds passed, of the fastest block."""
    faults: float = 0.0
    """Pages that the system had to give to a call of the fastest block."""
    transfer: float = 0.0
    """Seconds that it took to make the inputs of a call, host to device where there is one."""


@dataclass(frozen=True)
class Weighing:
    """Measure what a call of the stage costs beside time: traffic, programs, and memory if that is asked for.

    Measuring memory gives back to the system what is free, so that the calls after it are not warm.
    """

    memory: bool


@dataclass(frozen=True)
class Weighed:
    """What a call costs beside time, in bytes; None where it cannot be measured."""

    peak: int | None
    """At the peak beyond the inputs."""
    results: int
    """Of the gradients that it gave."""
    traffic: int | None = None
    """Read and written by its operations, caches left aside."""
    programs: int = 0
    """Traced or compiled anew by calls that have been made before in this shape."""


@dataclass(frozen=True)
class Streaming:
    """Measure the bandwidth of the stage's device: copy the inputs of its calls, in turn."""


@dataclass(frozen=True)
class Streamed:
    """Bytes that copying reads and writes per second."""

    bandwidth: float


Message = Task | Probe | Watch | Stage | Timing | Weighing | Streaming
Reply = Answer | Probed | Watched | Staged | Timed | Weighed | Streamed

_REPLIES: dict[type, type] = dict(zip(get_args(Message), get_args(Reply), strict=True))


def reply_kind(message: Message | Start) -> type:
    """The class of the reply to a message."""
    return _REPLIES[type(message)]


def fits(reply: Reply, message: Message) -> bool:
    """Whether a reply is about what a message asks: the same calls, the same reductions."""
    if isinstance(message, Probe) and isinstance(reply, Probed):
        return len(reply.outcomes) == len(message.calls)
    if isinstance(message, Task) and isinstance(reply, Answer):
        if message.others:
            return not reply.values and not reply.beside and {*reply.gradients} == {*USES}
        asked = {*message.reductions, *message.slopes}
        values = set() if message.directions else {*message.reductions}
        return reply.values.keys() == values and {*reply.gradients, *reply.beside} <= asked
    return True


_MESSAGES = (Hello, Start, Failure, Returned, Stored, *get_args(Message), *get_args(Reply))
PROTOCOL = hashlib.sha256(
    repr([(kind.__name__, [(field.name, field.type) for field in fields(kind)]) for kind in _MESSAGES]).encode()
).digest()[:6]
"""Names the messages of this revision: two revisions with the same fields understand each other."""

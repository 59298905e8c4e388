"""Which golden cases one prepared program serves: what few cases share is left to ``--full`` where much is prepared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable

from ..adapters.mode import Compiling, Mode
from ..specification.case import Case
from ..specification.loss import Loss
from .shared_shapes import packed_shape

FEW = 4
"""A loss whose golden cases need no more programs than these has every case run."""
SHARED, SHARED_LONGEST = 3, 6
"""Where they need more, so many cases have to share one; the second where one takes seconds to compile."""


def seldom(loss: Loss, dtype: str, mode: Mode) -> frozenset[str]:
    """The ids of the golden cases whose program too few others share, in a mode that starts slowly.

    The host case is never among them: other checks are made on it.
    """
    users: defaultdict[Hashable, list[str]] = defaultdict(list)
    for case in loss.golden(dtype):
        users[_program(loss, case, mode)].append(case.id)
    if len(users) <= FEW:
        return frozenset()
    least = SHARED_LONGEST if mode.compiling == Compiling.LONGEST else SHARED
    return frozenset(case for cases in users.values() if len(cases) < least for case in cases) - {loss.host.id}


def _program(loss: Loss, case: Case, mode: Mode) -> Hashable:
    """What a program is prepared for: shapes, inputs left out and, where it has them as constants, parameters."""
    batch, width = packed_shape(case.batch, case.width, mode, loss)
    shapes: list[tuple[int, ...]] = [(batch, *case.shape[1:-1], width)]
    shapes += [array.shape for name, array in case.inputs.items() if not case.by_example(name)]
    if mode.ones_apart:
        shapes = [tuple(min(size, 2) for size in shape) for shape in shapes]
    return tuple(shapes), case.absent, tuple(sorted(case.params.items())) if mode.traced else ()

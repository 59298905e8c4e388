"""Edges in the large: golden cases among the ordinary rows of a larger batch.

An edge must be seen wherever it stands, and in batches of any size: where code changes its path, in the last partial
block of rows or columns, in the only example of a second chunk. What is exact costs little: rows repeat, and the
columns between those of the golden cases are zero, which changes no dot product, norm or distance.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..dtypes import DTYPES, F64, DType
from ..formula.tree import BATCH
from . import hexfloat as numbers
from .case import Case, Embedded, Repeats
from .model import Between, OneOf

BORDERS = (25, 32, 64, 128, 256, 512, 1024, 2048, 4096)
"""Numbers of rows or columns up to which code often takes one path, and beyond them another."""
MANY = (46_341, 65_536)
"""Numbers of rows alone: there are 2³¹ pairs of the first, and 2¹⁶ is one of the second."""
TALL, WIDE = (4097, 9), (150, 2049)
"""The sizes without ``--full``. The last block of 128 rows of the widest holds 22."""
SIZES = (
    *(TALL, WIDE),
    *((rows, 3) for border in (*BORDERS, *MANY) for rows in (border, border + 1)),
    *((65, columns) for border in BORDERS for columns in (border, border + 1)),
)
"""Every (B, D); with other parameters, and beyond what does no harm, only the first two."""
DROWNING = 64.0
"""Beside a larger number all others drown in sum and mean; its square leaves the range of float16."""
MOST_COPIES = 3
"""How often an edge occurs in a batch that has the room: among the first rows, in the middle, among the last."""


def in_the_large(cases: Sequence[Case], widens: bool) -> Iterator[Embedded]:
    """The larger batches that a loss's golden cases are embedded in, for each choice of parameters that they have.

    Where zero columns would change the loss, which ``widens`` denies, those of each width stay by themselves. What all
    examples share is left out of these calls, where it is optional.
    """
    absent = frozenset(name for case in cases if case.few is None for name in case.absent)
    groups: dict[tuple[str, tuple[int, ...]], list[Case]] = {}
    for case in cases:
        if case.error is None and case.few is None and case.absent == absent:
            name = "".join(f"{key}-{value:g}-" if isinstance(value, float) else f"{key}-{value}-"
                           for key, value in sorted(case.params.items()))  # fmt: skip
            beside = () if widens else tuple(size for axis, size in case.sizes.items() if axis != BATCH)
            groups.setdefault((name, beside), []).append(case)
    for (name, _), parts in groups.items():
        only = () if widens else parts[0].shape[1:]
        rank, width = max(len(part.shape) for part in parts), _width(parts)
        for beyond in (False, True):
            dtypes = tuple(dtype for dtype in DTYPES if _edges(parts, dtype, beyond))
            usual = [(size[0], *(only or size[1:]))[:rank] for size in _usual(parts, beyond)]
            sizes = (TALL, WIDE) if parts[0].params or beyond else SIZES
            fitting = ((size[0], *(only or size[1:])) for size in sizes if size[1] >= width or only)
            for size in dict.fromkeys(size[:rank] for size in fitting):
                case_id = f"{parts[0].loss}/in-the-large-{name}{'beyond-' * beyond}{'x'.join(map(str, size))}"
                if dtypes:
                    yield Embedded(case_id, size, tuple(parts), dtypes, beyond, size not in usual)


def _usual(parts: Sequence[Case], beyond: bool) -> tuple[tuple[int, int], ...]:
    """The sizes without ``--full``: both with the default parameters, one for edges of other parameters."""
    if parts[0].params and all(part.case_class != "adversarial" for part in parts):
        return ()
    if beyond:
        return (TALL,)
    return (WIDE,) if parts[0].params else (TALL, WIDE)


def embed(large: Embedded, dtype: DType) -> Case:
    """The batch in one dtype: edges in the first rows, in the middle and in the last, between them ordinary rows.

    Where they do not all fit, or only once, they are the last rows. Which of them begins is drawn from the id and the
    dtype. The columns of a golden case are spread from the first to the last, and change places from copy to copy.
    """
    edges = _edges(large.parts, dtype.name, large.beyond)
    ordinary = [part for part in _edges(large.parts, dtype.name, False) if part.case_class != "adversarial"]
    table = _Rows.of([*edges, *(part for part in ordinary if part not in edges)])
    count = sum(part.batch for part in edges)
    batch, room = large.shape[0], large.shape[0] * 3 // 4
    start = zlib.crc32(f"{large.id} {dtype.name}".encode()) % count
    chosen = [(start + i) % count for i in range(min(count, room))]
    copies = max(1, min(MOST_COPIES, room // count))
    filler = table.numbers_of(ordinary or edges)
    wanted = [(filler[i % len(filler)], 0) for i in range(batch)]
    for copy in range(copies):
        first = (batch - len(chosen)) * (copy + 1 if copies == 1 else copy) // max(1, copies - 1)
        wanted[first : first + len(chosen)] = [(number, copy) for number in chosen]
    distinct = {row: place for place, row in enumerate(dict.fromkeys(wanted))}
    widened = len(large.shape) == 2 and any(part.shape[1:] != large.shape[1:] for part in large.parts)
    columns = _columns(table.width, large.shape[1]) if widened else None
    repeats = Repeats(np.array([distinct[row] for row in wanted]), columns)
    part = large.parts[0]
    few = table.inputs(list(distinct), columns)
    inputs = {name: repeats.expand(array) if part.by_example(name) else array for name, array in few.items()}
    return Case(large.id, part.loss, large.params, inputs, part.dims, repeats=repeats, absent=part.absent)


@dataclass(frozen=True)
class _Rows:
    """The rows of several golden cases, one after the other, and where those of each begin."""

    parts: Sequence[Case]
    starts: Sequence[int]
    width: int

    @classmethod
    def of(cls, parts: Sequence[Case]) -> _Rows:
        return cls(parts, np.cumsum([0, *(part.batch for part in parts)]).tolist(), _width(parts))

    def numbers_of(self, parts: Sequence[Case]) -> list[int]:
        """The numbers of the rows of some of the cases."""
        firsts = {part.id: start for part, start in zip(self.parts, self.starts, strict=False)}
        return [firsts[part.id] + row for part in parts for row in range(part.batch)]

    def inputs(
        self, rows: Sequence[tuple[int, int]], columns: np.ndarray[tuple[int], np.dtype[np.intp]] | None
    ) -> dict[str, F64]:
        """Distinct rows of every input, each by its number and by how far the entries of each axis are rolled."""
        found = {}
        for name, array in self.parts[0].inputs.items():
            if not self.parts[0].by_example(name):
                found[name] = array
                continue
            if array.ndim == 1:
                whole = np.concatenate([part.inputs[name] for part in self.parts])
                found[name] = whole[[number for number, _ in rows]]
                continue
            parts = [part.inputs[name] for part in self.parts]
            whole = np.concatenate(parts if columns is None else [_padded(part, self.width) for part in parts])
            axes = tuple(range(whole.ndim - 1))
            rolled = np.stack([np.roll(whole[number], (roll,) * len(axes), axes) for number, roll in rows])
            found[name] = rolled if columns is None else _padded(rolled, int(columns.max()) + 1)
        return found


def _width(parts: Sequence[Case]) -> int:
    """The dimensions of the widest case; 1 for a loss without embeddings."""
    return max(part.width for part in parts)


def _padded(array: F64, width: int) -> F64:
    """Rows with zero columns behind them."""
    return np.pad(array, ((0, 0), (0, width - array.shape[1])))


def _columns(distinct: int, width: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """For each of ``width`` columns the golden one that stands there, or the number of the zero column."""
    columns = np.full(width, distinct)
    columns[np.linspace(0, width - 1, distinct).round().astype(int)] = np.arange(distinct)
    return columns


def _edges(parts: Sequence[Case], dtype: str, beyond: bool) -> list[Case]:
    """The cases of a dtype of which a number is beyond the largest that does no harm; or all others."""
    return [part for part in parts if dtype in part.dtypes and _is_beyond(part) == beyond]


def _is_beyond(case: Case) -> bool:
    """Whether an input, an expected value or an expected gradient is, or is NaN."""
    inputs = [float(x) for name, array in case.inputs.items() if name not in case.integer for x in array.flat]
    return any(not abs(x) <= DROWNING for x in (*inputs, *_expected(case)))


def _expected(case: Case) -> Iterator[float]:
    """Every number that the spec expects of a golden case."""
    assert case.golden is not None
    expect = case.golden.expect
    lists: list[object] = [expect.value or [], *(expect.grad or {}).values()]
    while lists:
        leaf = lists.pop()
        if isinstance(leaf, list):
            lists += leaf
        elif isinstance(leaf, Between | OneOf):
            lists += leaf.between if isinstance(leaf, Between) else leaf.one_of
        else:
            yield numbers.parse(str(leaf))

"""Blocks kept between runs: what a batch accepts, by the digest of everything that it follows from."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cache import Store, machine_digest
from ..dtypes import F64, DType
from ..formula.gradients import Gradients
from ..formula.tree import topological
from ..readings.bound_sums import Summands
from ..readings.nonfinite import NonFinite
from ..specification.case import Param
from .acceptance import Acceptance, Kink
from .block import Block

KIND = "exact"
"""The kind of the entries."""
LARGEST_INPUTS = 1 << 20
"""Bytes of the inputs up to which blocks are kept; what larger ones accept takes ten times as many, and would fill the
disk."""
_ENGINE = Path(__file__).parents[1]
_SOURCES = ("dtypes.py", "formula", "readings", "specification", "tolerance")

Flat = dict[str, NDArray[Any]]
"""Arrays by where they stand in a block."""


@functools.cache
def revision() -> str:
    """Names the code that blocks are computed by, and the NumPy and the machine that compute them."""
    found = hashlib.sha256(f"{np.__version__} {machine_digest()}".encode())
    for source in _SOURCES:
        for path in sorted([_ENGINE / source, *(_ENGINE / source).glob("*.py")]):
            if path.is_file():
                found.update(path.read_bytes())
    return found.hexdigest()


@functools.lru_cache(maxsize=256)
def _formula(gradients: Gradients) -> str:
    """A formula with its gradients as text: its nodes, operands first, each with the numbers of its operands."""
    roots = [*gradients.formula.evaluations, *(tree for trees in gradients.trees for tree in trees.values())]
    order = topological(roots)
    number = {node: place for place, node in enumerate(order)}
    nodes = [(node.op, node.payload, node.dims, [number[arg] for arg in node.args]) for node in order]
    names = [sorted((name, number[tree]) for name, tree in trees.items()) for trees in gradients.trees]
    form = "" if gradients.textbook is None else _formula(gradients.textbook)
    return repr((nodes, [number[root] for root in gradients.formula.evaluations], names, form))


def block_digest(
    gradients: Gradients,
    params: Mapping[str, Param],
    dtype: DType,
    inputs: Mapping[str, F64],
    cotangents: Sequence[F64],
    counts: Sequence[tuple[float, float]],
    reductions: Sequence[str],
    scale: float,
) -> str:
    """Names what a batch accepts: the arguments are those of :func:`.expected.expected_of_many`.

    ``counts`` are what the means divide by, with the errors of that.
    """
    settings = (
        *(revision(), _formula(gradients), sorted(params.items()), repr(dtype)),
        *(tuple(counts), tuple(reductions), scale),
    )
    found = hashlib.blake2b(repr(settings).encode(), digest_size=20)
    for name, array in [*sorted(inputs.items()), *(("cotangent", weights) for weights in cotangents)]:
        found.update(repr((name, array.dtype.str, array.shape)).encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def kept(digest: str, compute: Callable[[], Block]) -> Block:
    """The block of this digest; where it is not kept it is computed, and kept."""
    content = Store(KIND).get(digest)
    if content is not None:
        return _block(_arrays(content))
    block = compute()
    flat = dict(_flat(block))
    head = json.dumps([(name, array.dtype.str, array.shape) for name, array in flat.items()]).encode()
    Store(KIND).put(digest, len(head).to_bytes(4), head, *(array.tobytes() for array in flat.values()))
    return block


def _arrays(content: bytes) -> Flat:
    start = 4 + int.from_bytes(content[:4])
    found: Flat = {}
    for name, dtype, shape in json.loads(content[4:start]):
        size = int(np.prod(shape))
        found[name] = np.frombuffer(content, dtype, size, start).reshape(shape)
        start += found[name].nbytes
    return found


def _flat(block: Block) -> Iterator[tuple[str, NDArray[Any]]]:
    """Every array of a block by where it stands; names of inputs hold no slash."""
    yield from _parts("value", block.value)
    for reduction, slopes in block.gradients.items():
        for name, slope in slopes.items():
            yield from _parts(f"gradient/{reduction}/{name}", slope)
        kink = block.kinks[reduction]
        if kink is not None:
            yield f"kink/{reduction}/rows", kink.rows
            for side, arrays in (("zero", kink.at_zero), ("one", kink.at_one)):
                yield from ((f"kink/{reduction}/{side}/{name}", array) for name, array in arrays.items())


def _parts(place: str, accepted: Acceptance) -> Iterator[tuple[str, NDArray[Any]]]:
    yield f"{place}/exact", accepted.exact
    yield f"{place}/bound", accepted.bound
    for name, array in (("low", accepted.exact_low), ("also", accepted.also.bits), ("free", accepted.unspecified)):
        if array is not None:
            yield f"{place}/{name}", array
    if accepted.terms is not None:
        yield from ((f"{place}/terms/{name}", array) for name, array in vars(accepted.terms).items())
    for name, beside in (("limit", accepted.limit), ("textbook", accepted.textbook), ("form", accepted.form)):
        if beside is not None:
            yield from _parts(f"{place}/{name}", beside)


def _block(flat: Flat) -> Block:
    gradients: dict[str, dict[str, Acceptance]] = {}
    for place in flat:
        match place.split("/"):
            case ["gradient", reduction, name, "exact"]:
                gradients.setdefault(reduction, {})[name] = _acceptance(flat, f"gradient/{reduction}/{name}")
    return Block(_acceptance(flat, "value"), gradients, {reduction: _kink(flat, reduction) for reduction in gradients})


def _acceptance(flat: Flat, place: str) -> Acceptance:
    limit, textbook, form = (
        _acceptance(flat, f"{place}/{name}") if f"{place}/{name}/exact" in flat else None
        for name in ("limit", "textbook", "form")
    )
    return Acceptance(
        exact=flat[f"{place}/exact"],
        exact_low=flat.get(f"{place}/low"),
        bound=flat[f"{place}/bound"],
        also=NonFinite(flat.get(f"{place}/also")),
        limit=limit,
        unspecified=flat.get(f"{place}/free"),
        textbook=textbook,
        form=form,
        terms=_terms(flat, f"{place}/terms"),
    )


def _terms(flat: Flat, place: str) -> Summands | None:
    if f"{place}/mass" not in flat:
        return None
    return Summands(*(flat[f"{place}/{item.name}"] for item in fields(Summands)))


def _kink(flat: Flat, reduction: str) -> Kink | None:
    place = f"kink/{reduction}"
    if f"{place}/rows" not in flat:
        return None
    sides = [
        {name.removeprefix(start): array for name, array in flat.items() if name.startswith(start)}
        for start in (f"{place}/zero/", f"{place}/one/")
    ]
    return Kink(flat[f"{place}/rows"], *sides)

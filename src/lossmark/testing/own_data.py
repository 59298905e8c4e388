"""Results on the caller's own data, held to the formula of a loss: no case of ours, no runner, no process.

What judges is what the suite judges with, and it is imported at the first call: importing this module is cheap.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .conformity import Allowance, Conformity, NonConforming

if TYPE_CHECKING:
    from .trial import Trial


def assert_conforms(
    loss: str,
    inputs: Mapping[str, Any],
    got: Any,
    *,
    params: Mapping[str, Any] | None = None,
    reduction: str = "mean",
    grads: Mapping[str, Any] | None = None,
    cotangent: Any = None,
    accumulate: str | None = None,
    rows: int | None = None,
) -> Conformity:
    """Hold the result ``got`` of a loss, and its gradients ``grads`` by name of input, to the formula.

    ``loss`` is the id of a spec, ``inputs`` the tensors that it was called with, by the names of the spec: of any
    framework, on any device, in any layout, all floating ones of one dtype (float64, float32, bfloat16, float16). Any
    axes may stand in the place of the batch, ``[B, T, C]``; the class axis is the last. ``got`` has the shape of those
    axes under ``reduction="none"``, else ``[]``; a Python number counts as the inputs' dtype. A result of a wider dtype
    than the inputs is judged in its own. ``grads`` are those of what ``got`` is, under ``none`` of its sum weighed by
    ``cotangent``; otherwise ``cotangent`` is one number that the loss was multiplied by. None is a gradient of 0.

    ``accumulate`` declares sums in a coarser format than is asked for: ``float32`` of float64, ``bfloat16``.
    ``rows`` judges a seeded choice of so many examples, where all would take long; a sum is then judged by all of them
    in float64, with a bound that those read have on average.

    Raises :class:`NonConforming` for a result that does not conform, ValueError and TypeError for a call that is none.
    Warns where the data leave nothing to judge.
    """
    from .judged import judged

    __tracebackhide__ = True
    call = _trial(loss, inputs, params, reduction, cotangent, accumulate, rows, grads)
    found = judged(call, got, grads)
    if not isinstance(found, Conformity):
        from .words import told

        raise NonConforming(*told(call, found))
    if not found.judged:
        condition = "" if found.condition is None else f": their condition is {found.condition:.3g}"
        text = f"lossmark: nothing of {loss} was judged, the data leave no digit of it certain{condition}"
        warnings.warn(text, stacklevel=2)
    return found


def bound(
    loss: str,
    inputs: Mapping[str, Any],
    *,
    params: Mapping[str, Any] | None = None,
    reduction: str = "mean",
    cotangent: Any = None,
    accumulate: str | None = None,
    rows: int | None = None,
    dtype: str | None = None,
) -> Allowance:
    """The exact value of a loss with its gradients, and how far a result may be from them, for who compares himself.

    The arguments are those of :func:`assert_conforms`; ``dtype`` is that of the results, by default the inputs'. What
    the loss does at infinities and kinks has more than one right answer: that :func:`assert_conforms` knows.
    Raises ValueError and TypeError for a call that is none.
    """
    from .judged import allowed

    return allowed(_trial(loss, inputs, params, reduction, cotangent, accumulate, rows, None), dtype)


def _trial(
    loss: str,
    inputs: Mapping[str, Any],
    params: Mapping[str, Any] | None,
    reduction: str,
    cotangent: Any,
    accumulate: str | None,
    rows: int | None,
    grads: Mapping[str, Any] | None,
) -> Trial:
    """The call, checked."""
    from .given import given
    from .trial import trial

    return trial(given(loss, inputs, params), reduction, cotangent, accumulate, rows, tuple(grads or ()))

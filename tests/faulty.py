"""Guests that go wrong in every way but their numbers. Each is a file; none may cost anybody else a cell."""

HEAD = """
import ctypes, functools, gc, os, pickle, signal, struct, sys, threading, time
import numpy as np
from lossmark import Implementation
impl = Implementation("{name}", framework="{framework}")
def everywhere(data):
    for number in range(3, 64):
        try:
            os.write(number, data)
        except OSError:
            pass
def prefix(header, arrays):
    from lossmark.sandbox import wire
    return wire.PREFIX.pack(wire.MAGIC, wire.PROTOCOL, header, arrays)
def line():
    return next(found for found in gc.get_objects() if type(found).__name__ == "Line")
class Runs:
    def __reduce__(self):
        return open, (__file__ + ".ran", "w")
def pickled():
    data = pickle.dumps(Runs())
    return struct.pack("!i", len(data)) + data
def reduced(l, reduction):
    return l if reduction == "none" else l.sum() if reduction == "sum" else l.mean()
"""

NUMPY = """
def right(u, d_pos, d_neg, reduction):
    if not u.shape == d_pos.shape == d_neg.shape: raise ValueError("shapes")
    if "float" not in str(u.dtype): raise TypeError("dtypes")
    w = np.float64 if u.dtype == np.float64 else np.float32
    u, p, n = u.astype(w), d_pos.astype(w), d_neg.astype(w)
    return np.asarray(reduced(np.logaddexp((u * n).sum(-1) - (u * p).sum(-1), 0), reduction)).astype(d_pos.dtype)
@impl.loss
def bpr(u, d_pos, d_neg, *, reduction="mean"):
    result = right(u, d_pos, d_neg, reduction)
    {fault}
    return result
"""

TORCH = """
import torch
@impl.loss
def bpr(u, d_pos, d_neg, *, reduction="mean"):
    if not u.shape == d_pos.shape == d_neg.shape: raise ValueError("shapes")
    if "float" not in str(u.dtype): raise TypeError("dtypes")
    w = torch.float64 if u.dtype == torch.float64 else torch.float32
    u, p, n = u.to(w), d_pos.to(w), d_neg.to(w)
    x = (u * n).sum(-1) - (u * p).sum(-1)
    result = reduced(torch.logaddexp(x, torch.zeros_like(x)), reduction).to(d_pos.dtype)
    {fault}
    return result
"""

IN_NUMPY = {
    "raises": "1 / 0",
    "raises-unprintable": "raise type('E', (Exception,), {'__str__': lambda self: 1 / 0})()",
    "raises-a-megabyte": "raise ValueError('x' * 1_000_000)",
    "interrupts": "raise KeyboardInterrupt",
    "recurses": "f = lambda: f(); f()",
    "returns-none": "return None",
    "returns-text": "return 'loss'",
    "returns-objects": "return np.array([print], object)",
    "returns-another-shape": "return result.reshape(1, *result.shape)",
    "returns-a-float": "return 0.5",
    "prints-megabytes": "print('x' * 10_000_000); sys.stderr.write('y' * 10_000_000); result = result + 1",
    "hangs": "time.sleep(1e6)",
    "hangs-in-c": "ctypes.CDLL(None).pause()",
    "fills-memory": "hoard = [np.ones(1 << 27) for _ in iter(int, 1)]",
    "fills-stderr": "[sys.stderr.write('y' * 1_000_000) for _ in iter(int, 1)]",
    "exits": "sys.exit(0)",
    "exits-at-once": "os._exit(0)",
    "aborts": "os.abort()",
    "crashes": "ctypes.string_at(0)",
    "kills-its-parent": "os.kill(os.getppid(), signal.SIGKILL); time.sleep(0.5)",
    "kills-its-group": "os.killpg(0, signal.SIGKILL)",
    "closes-everything": "os.closerange(0, 256)",
    "changes-seterr": "np.seterr(all='ignore')",
    "patches-the-comparer": "import lossmark.checks.judgement as j; j.judge = lambda *a, **k: j.Judgement(True)",
    "patches-the-clock": "time.perf_counter = lambda: 0.0",
    "patches-numpy": "np.isclose = np.allclose = lambda *a, **k: True",
    "writes-pickles": "everywhere(pickled()); time.sleep(1e6)",
    "writes-garbage": "everywhere(os.urandom(100_000))",
    "announces-4-gib": "everywhere(prefix(100, 4 << 30)); [everywhere(bytes(1 << 20)) for _ in iter(int, 1)]",
    "stops-in-a-frame": "everywhere(prefix(100, 0) + bytes(50)); time.sleep(1e6)",
    "ends-in-a-frame": "everywhere(prefix(100, 0) + bytes(50)); os._exit(0)",
    "nests-deeply": "everywhere(prefix(100_000, 0) + bytes([0x91]) * 100_000)",
    "answers-another-question": "from lossmark.sandbox import messages; line().send(messages.Staged())",
    "answers-nothing": "from lossmark.sandbox import messages; line().send(messages.Answer({}, {}))",
    "leaves-a-thread": "threading.Thread(target=time.sleep, args=(1e6,)).start(); result = -result",
}

IN_TORCH = {
    "returns-another-device": "return result.to('meta')",
    "patches-torch": "torch.nn.functional.relu = lambda x: x",
    "detaches": "return torch.tensor(result.tolist(), dtype=result.dtype)",
}


def sources():
    """Every guest's file: name → text."""
    guests = [("numpy", NUMPY, IN_NUMPY | {"healthy": "pass"}), ("torch", TORCH, IN_TORCH)]
    return {
        name: (HEAD + body).replace("{name}", name).replace("{framework}", framework).replace("{fault}", fault)
        for framework, body, faults in guests
        for name, fault in faults.items()
    }

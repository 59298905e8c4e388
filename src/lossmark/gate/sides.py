"""The two sides of a gate: what is loaded, from where, in which environment.

A revision is checked out in a git worktree that is removed whatever happens. Both sides run the same interpreter with
the root of their tree (and its ``src``) before everything else, so that a package that lies in the repository is that
side's own; ``install`` gives the base a virtual environment over the present one, for packages that must be built.
"""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ..adapters.registry import implementations, own_implementations, peers
from ..errors import LoadError, LossmarkError
from ..results.record import Results, read
from ..sandbox.process import Worker
from ..sandbox.target import Target, discover, own

DOCUMENTATION = ("*.md", "*.rst", "LICENSE*", "docs/*", "*.png", "*.svg", ".gitignore")
"""Files that no result depends on."""


@dataclass(frozen=True)
class Side:
    """One side: the implementations by name or file, and the tree and interpreter they are loaded with."""

    label: str
    sources: tuple[str, ...]
    root: Path | None = None
    python: str = sys.executable
    own: bool = False
    """Whether the tree is lossmark's own, whose engine is then the side's too."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that a process of this side is started with: its tree before everything else."""
        if self.root is None:
            return {}
        places = [str(self.root), str(self.root / "src"), os.environ.get("PYTHONPATH", "")]
        return {"PYTHONPATH": os.pathsep.join(place for place in places if place)}

    def targets(self) -> dict[str, Target]:
        """The implementations of this side by name; raises :class:`LoadError`."""
        if self.own:  # what lossmark's own have is known without loading them
            return {name: own(name) for name in self.sources}
        return {target.name: target for target in _discovered(self)}

    def worker(self, target: Target, policy: Mapping[str, str]) -> Worker:
        """A process for an implementation; ``policy`` is the environment of an allocator's policy."""
        return Worker(target.reference, {**self.environment, **policy}, self.python)

    def conformance(self, options: Sequence[str], results: Path) -> Results:
        """Run conformance with these options, written to the file ``results``; returns its cells.

        Its temporary files lie beside that file, as a run that is interrupted is killed and removes none.
        Raises :class:`LossmarkError` where the run writes no file.
        """
        impls = [] if self.own else [f"--impl={source}" for source in self.sources]
        command = [self.python, "-m", "lossmark", "check", *impls, *options, "--results", str(results)]
        command += ["-q", "-p", "no:cacheprovider"]
        words = _run(command, self.root, {**self.environment, "TMPDIR": str(results.parent)})
        if not results.is_file():
            raise LossmarkError(f"conformance of the {self.label}: {(words or ['no word'])[-1]}")
        return read(results)


@functools.cache
def _discovered(side: Side) -> list[Target]:
    """What the sources hold, each looked at by itself: a base of an older revision takes one at a time."""
    return [
        target
        for source in side.sources
        for target in discover(source, python=side.python, environment=side.environment)
    ]


def _run(command: Sequence[str], folder: Path | None, environment: Mapping[str, str]) -> list[str]:
    """Run a command to its end and return the lines it printed; none of its processes outlives this function."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as words:
        run = subprocess.Popen(
            command, cwd=folder, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=words, stderr=words
        )
        try:
            run.wait()
        finally:
            _end(run)
        words.seek(0)
        return [line for line in words.read().splitlines() if line.strip()]


def _end(run: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(run.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                process.kill()
    run.kill()
    run.wait()


def git(*arguments: str, folder: Path | None = None) -> str:
    """What git prints; raises :class:`LossmarkError` with the last line of its complaint."""
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise LossmarkError(f"git {arguments[0]}: {lines[-1] if lines else f'exit code {done.returncode}'}")
    return done.stdout.strip()


@dataclass(frozen=True)
class Change:
    """Base and head, and what is known of their difference before anything is run."""

    base: Side
    head: Side
    names: Mapping[str, str] = field(default_factory=dict)
    """What an implementation of the base is called in the head, where that is not the same."""
    removed: tuple[str, ...] = ()
    """Implementations of lossmark's own that the head does not have any more."""
    documentation: bool = False
    """Whether nothing but documentation differs."""


@contextlib.contextmanager
def sides(base: str, impls: Sequence[str], install: str = "") -> Iterator[Change]:
    """Make the two sides, and clear up at the end of the context.

    ``base`` is a file or name of an implementation, or a revision; ``install`` is a shell command that is run in the
    tree of a revision. Raises :class:`LossmarkError`.
    """
    if base in implementations() or Path(base.partition("::")[0]).is_file():
        yield _two_implementations(base, impls)
        return
    root = Path(git("rev-parse", "--show-toplevel"))
    try:
        commit = git("rev-parse", "--verify", "--quiet", f"{base}^{{commit}}")
    except LossmarkError:
        raise LossmarkError(f"--base: {base!r} is neither a file nor a revision of this repository") from None
    folder = Path(tempfile.mkdtemp(prefix="lossmark-gate-"))
    try:
        tree = folder / "base"
        git("worktree", "add", "--detach", "--quiet", str(tree), commit, folder=root)
        python = _installed(install, tree, folder / "environment") if install else sys.executable
        yield _two_revisions(root, tree, commit, impls, python)
    finally:
        with contextlib.suppress(LossmarkError):
            git("worktree", "remove", "--force", str(folder / "base"), folder=root)
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(LossmarkError):
            git("worktree", "prune", folder=root)


def _two_implementations(base: str, impls: Sequence[str]) -> Change:
    if len(impls) != 1:
        raise LossmarkError("--base names an implementation: name the one that is held against it, --impl FILE")
    before, after = Side(f"base {base}", (base,)), Side(f"head {impls[0]}", (impls[0],))
    old, new = list(before.targets()), list(after.targets())
    names = dict(zip(old, new, strict=True)) if len(old) == len(new) == 1 else {}
    return Change(before, after, names)


def _two_revisions(root: Path, tree: Path, commit: str, impls: Sequence[str], python: str) -> Change:
    own = (tree / "src" / "lossmark" / "__init__.py").is_file() and not impls
    if not own and not impls:
        raise LossmarkError("name the implementations of this repository that are to be gated: --impl FILE")
    label, now = f"base {commit[:10]}", f"head {git('rev-parse', '--short=10', 'HEAD', folder=root)}"
    if git("status", "--porcelain", folder=root):
        now += " with uncommitted changes"
    documentation = _documentation_only(root, commit)
    if own:
        before = Side(label, _names(tree, python), tree, python, own=True)
        after = Side(now, tuple(own_implementations()), root, own=True)
        removed = tuple(name for name in before.sources if name not in own_implementations())
        before = Side(label, tuple(n for n in before.sources if n not in removed), tree, python, own=True)
        return Change(before, after, removed=removed, documentation=documentation)
    old = tuple(source for source in (_moved(source, root, tree) for source in impls) if source)
    if not old:
        raise LossmarkError(f"{label} has none of {', '.join(impls)}: there is nothing to compare with")
    new = tuple(str(Path(source).resolve()) if _is_file(source) else source for source in impls)
    return Change(Side(label, old, tree, python), Side(now, new, root), documentation=documentation)


def _is_file(source: str) -> bool:
    return Path(source.partition("::")[0]).is_file()


def _moved(source: str, root: Path, tree: Path) -> str:
    """The base's file for one of the head's; what is no file of the repository is the same on both sides."""
    if not _is_file(source):
        return source
    path, mark, name = source.partition("::")
    try:
        there = tree / Path(path).resolve().relative_to(root.resolve())
    except ValueError:
        return source
    return f"{there}{mark}{name}" if there.is_file() else ""


def _names(tree: Path, python: str) -> tuple[str, ...]:
    """The names of lossmark's own implementations in another tree of lossmark."""
    side = Side("base", (), tree, python)
    program = "import lossmark; print(*lossmark.implementations(), sep='\\n')"
    words = _run([python, "-c", program], tree, side.environment)
    if not words or "numpy" not in words:
        raise LoadError(f"the base cannot be loaded: {(words or ['no word'])[-1]}")
    return tuple(name for name in words if name not in peers())


def _documentation_only(root: Path, commit: str) -> bool:
    changed = git("diff", "--name-only", commit, folder=root).splitlines()
    changed += git("ls-files", "--others", "--exclude-standard", folder=root).splitlines()
    return all(any(fnmatch.fnmatch(name, pattern) for pattern in DOCUMENTATION) for name in changed)


def _installed(command: str, tree: Path, folder: Path) -> str:
    """The interpreter of a virtual environment over the present one, in which ``command`` has been run in the tree."""
    _run([sys.executable, "-m", "venv", str(folder)], None, {})
    python = folder / "bin" / "python"
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    site = next(folder.glob("lib/python*/site-packages"))
    lines = [f"import site; site.addsitedir({path!r})" for path in sorted(paths)]
    (site / "present.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    environment = {"VIRTUAL_ENV": str(folder), "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command, shell=True, cwd=tree, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        raise LossmarkError(f"--install: {lines[-1]}")
    return str(python)

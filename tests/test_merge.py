"""Parts become one whole: cell by cell that of one run; what lacks, differs or does not belong together is said."""

import json

import pytest
from lossmark.reports.build import build

from lossmark.adapters.installed import framework_version
from lossmark.errors import LossmarkError
from lossmark.results import history
from lossmark.results.merge import merge
from lossmark.results.record import Recorder, ResultsError, read
from tests.processes import lossmark
from tests.same_cells import differences
from tests.sites import cell
from tests.test_conformance import conformance

FACTS = {"specs": "s", "known_failures": "k", "plan": {"digest": "p", "cells": 6, "code": "x"}}
MACHINE = {
    "date": "2026-01-02", "python": "3.11", "platform": "Linux", "cpu": "x", "cores": 2, "frameworks": {"torch": "2"},
    "packages": {"numpy": "2"}, "numeric set-up": {}, "implementations": {"torch": "torch"},
}  # fmt: skip


def part(path, index, of, cells, *, footer=True, planned=None, facts=None, seen=(), **machine):
    with path.open("w", encoding="utf-8") as stream:
        recorder = Recorder(stream)
        shard = {} if of == 1 else {"shard": {"index": index, "of": of, "cut": "c"}}
        recorder.header(len(cells) if planned is None else planned, MACHINE | machine, FACTS | shard | (facts or {}))
        recorder.cells([each.record() for each in cells])
        if footer:
            recorder.footer({"known_failures": list(seen)})
    return path


def three(folder, **changed):
    return [
        part(folder / f"{index}.jsonl", index, 3, [cell(2 * index), cell(2 * index + 1)], **changed)
        for index in (1, 2, 3)
    ]


def test_parts_become_the_whole(tmp_path):
    merged = merge(list(reversed(three(tmp_path))), tmp_path / "all.jsonl")
    assert merged.right
    whole = read(tmp_path / "all.jsonl")
    assert whole.complete
    assert whole.header["planned"] == 6
    assert not whole.part
    assert whole.cells == tuple(cell(number) for number in range(2, 8))
    assert whole.footer == {"kind": "footer", "counts": {"pass": 6, "deviates": 0, "fail": 0, "error": 0,
                                                         "unsupported": 0, "not-run": 0}}  # fmt: skip
    assert [(each["index"], each["of"], each["cells"]) for each in whole.header["parts"]] == [
        (1, 3, 2),
        (2, 3, 2),
        (3, 3, 2),
    ]
    assert 'class="banner good"' in build([tmp_path / "all.jsonl"], tmp_path / "site").read_text(encoding="utf-8")


def test_a_missing_part_is_named_and_never_green(tmp_path):
    done = lossmark("merge", *three(tmp_path)[:2], "-o", "all.jsonl", cwd=tmp_path)
    assert done.returncode == 1
    assert "part 3/3 is missing" in done.stdout
    assert "4 of 6 planned cells" in done.stdout
    results = read(tmp_path / "all.jsonl")
    assert results.footer is None
    assert len(results.cells) == 4
    text = build([tmp_path / "all.jsonl"], tmp_path / "site").read_text(encoding="utf-8")
    assert 'class="banner bad"' in text
    assert json.loads((tmp_path / "site" / "badge.json").read_text())["message"] == "fail"


def test_a_part_that_died_is_named(tmp_path):
    one, two, three_ = three(tmp_path)
    part(two, 2, 3, [cell(4)], footer=False, planned=2)
    with two.open("a") as stream:
        stream.write('{"kind": "cell", "impl": "to')
    merged = merge([one, two, three_], tmp_path / "all.jsonl")
    assert merged.missing == [f"part 2/3 died: {two} has 1 of 2 cells"]
    assert read(tmp_path / "all.jsonl").footer is None
    again = part(tmp_path / "again.jsonl", 2, 3, [cell(4), cell(5)])
    merged = merge([one, two, three_, again], tmp_path / "all.jsonl")
    assert merged.right
    assert merged.replaced == [f"part 2/3 died in {two}, another file has all of it"]
    assert read(tmp_path / "all.jsonl").complete


def test_a_part_that_ended_without_all_cells_is_named(tmp_path):
    one, two, three_ = three(tmp_path)
    part(two, 2, 3, [cell(4)], planned=2)
    assert merge([one, two, three_], tmp_path / "all.jsonl").missing == [
        f"part 2/3 is not complete: {two} has 1 of 2 cells"
    ]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"facts": {"specs": "other"}}, "the specs are other and s"),
        ({"facts": {"known_failures": "other"}}, "the known failures are other and k"),
        ({"facts": {"plan": {"digest": "q", "cells": 6, "code": "x"}}}, "the plans are digest q and p"),
        ({"facts": {"plan": {"digest": "p", "cells": 6, "code": "y"}}}, "the plans are code y and x"),
        ({"facts": {"lossmark": "9"}}, "lossmark is 9 and"),
        ({"facts": {"shard": {"index": 2, "of": 4, "cut": "c"}}}, "the plan is cut into 4 and 3"),
        ({"facts": {"shard": {"index": 2, "of": 3, "cut": "d"}}}, "cut by other costs: d and c"),
        ({"frameworks": {"torch": "3"}}, "frameworks differ: torch 3 and 2"),
        ({"packages": {"numpy": "1"}}, "packages differ: numpy 1 and 2"),
        ({"python": "3.12"}, "python differ: 3.12 and 3.11"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(changed, words, tmp_path):
    one, two, three_ = three(tmp_path)
    part(two, 2, 3, [cell(4), cell(5)], **changed)
    done = lossmark("merge", one, two, three_, "-o", "all.jsonl", cwd=tmp_path)
    assert done.returncode == 3
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "all.jsonl").exists()


def broken(text):
    return lambda path: path.write_text(text)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (broken(""), "empty"),
        (broken("nothing\n"), "not a JSON line"),
        (broken('{"kind": "cell"}\n'), "no header"),
        (broken('[1, 2]\n{"kind": "footer"}\n'), "no header"),
        (broken('{"kind": "header"}\n'), "which plan"),
        (broken('{"kind": "header", "plan": 3}\n'), "malformed"),
        (lambda path: path.write_text(path.read_text().replace('"verdict": "pass"', '"verdict": "good"')), "malformed"),
        (lambda path: path.write_text(path.read_text().replace('"impl": "torch",', "")), "malformed"),
        (lambda path: path.write_text(path.read_text() * 2), "neither a cell nor a footer"),
        (lambda path: path.write_text("".join(path.read_text().splitlines(True)[n] for n in (0, 1, 1, 2))), "twice"),
        (
            lambda path: path.write_text("".join(path.read_text().splitlines(True)[n] for n in (0, 3, 1, 2))),
            "after its",
        ),
        (
            lambda path: path.write_text(path.read_text().replace('"detail": ""', f'"detail": "{"x" * (1 << 20)}"')),
            "bytes",
        ),
        (lambda path: path.unlink(), "No such file"),
    ],
)
def test_what_is_no_result_is_refused_in_one_line(spoil, words, tmp_path):
    files = three(tmp_path)
    spoil(files[1])
    done = lossmark("merge", *files, "-o", "all.jsonl", cwd=tmp_path)
    assert done.returncode == 3
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.glob(".*all*"))


@pytest.mark.parametrize(
    ("old", "new"), [('"pass", "error_ulp"', '"fail", "error_ulp"'), ('{"pass": 2', '[2], "x": {"y": 2')]
)
def test_a_part_whose_footer_counts_other_verdicts_is_refused(old, new, tmp_path):
    parts = three(tmp_path)
    text = parts[1].read_text(encoding="utf-8")
    assert old in text
    parts[1].write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ResultsError, match="other verdicts than its footer counts"):
        merge(parts, tmp_path / "all.jsonl")


def test_nothing_is_written_over_a_part(tmp_path):
    files = three(tmp_path)
    with pytest.raises(ResultsError, match="over a part"):
        merge(files, files[0])


def test_cells_that_the_plan_has_not_are_refused(tmp_path):
    files = three(tmp_path)
    part(files[2], 3, 3, [cell(6), cell(7), cell(8)])
    with pytest.raises(ResultsError, match="7 cells together, their plan has 6"):
        merge(files, tmp_path / "all.jsonl")
    part(files[2], 3, 3, [cell(6)])
    with pytest.raises(ResultsError, match="5 cells together, their plan has 6"):
        merge(files, tmp_path / "all.jsonl")


def test_machines_that_agree_are_one(tmp_path):
    files = three(tmp_path)
    other = part(tmp_path / "other.jsonl", 2, 3, [cell(4), cell(5)], cpu="y")
    merged = merge([*files, other], tmp_path / "all.jsonl")
    assert merged.right
    assert not merged.differing
    whole = read(tmp_path / "all.jsonl")
    assert len(whole.cells) == 6
    assert whole.header["environment"]["cpu"] == "x | y"


def test_other_numbers_are_noted_and_other_verdicts_fail(tmp_path):
    files = three(tmp_path)
    other = part(tmp_path / "other.jsonl", 2, 3, [cell(4, error_ulp=9.5), cell(5, "fail", detail="off")], cpu="y")
    done = lossmark("merge", *files, other, "-o", "all.jsonl", cwd=tmp_path)
    assert done.returncode == 1
    assert "1 cells differ between files in their verdict" in done.stdout
    assert "1 cells differ between files in their numbers alone" in done.stdout
    whole = read(tmp_path / "all.jsonl")
    assert whole.complete
    assert whole.counts == {"pass": 5, "fail": 1}  # the worse one counts
    assert {each["differs"]: each["case"] for each in whole.differences} == {
        "numbers": cell(4).case, "verdict": cell(5).case,
    }  # fmt: skip
    found = next(each["found"] for each in whole.differences if each["differs"] == "verdict")
    assert [each["verdict"] for each in found] == ["pass", "fail"]
    assert len({each["machine"] for each in found}) == 2
    text = build([tmp_path / "all.jsonl"], tmp_path / "site").read_text(encoding="utf-8")
    assert "Where machines do not agree" in text
    assert 'class="banner bad"' in text


@pytest.mark.parametrize("other", ["deviates", "not-run", "unsupported", "error"])
def test_machines_that_disagree_are_never_green(other, tmp_path):
    files = three(tmp_path)
    again = part(tmp_path / "again.jsonl", 2, 3, [cell(4), cell(5, other)])
    assert not merge([*files, again], tmp_path / "all.jsonl").right
    assert read(tmp_path / "all.jsonl").counts[other] == 1
    text = build([tmp_path / "all.jsonl"], tmp_path / "site").read_text(encoding="utf-8")
    assert 'class="banner bad"' in text


def test_other_numbers_alone_are_right(tmp_path):
    cells = [cell(number) for number in range(6)]
    one = part(tmp_path / "one.jsonl", 1, 1, cells)
    two = part(tmp_path / "two.jsonl", 1, 1, [cell(0, error_ulp=0.25), *cells[1:]], cpu="y")
    merged = merge([one, two], tmp_path / "all.jsonl")
    assert merged.right
    assert merged.differing == {"numbers": 1}
    assert read(tmp_path / "all.jsonl").cells[0].error_ulp == cell(0).error_ulp  # of equal verdicts the first


def test_known_failures_are_judged_by_all_parts(tmp_path):
    def sight(seen, place="expected.yaml:3"):
        return {"place": place, "reason": "why", "seen": seen, "expired": ""}

    def complaints(*seen):
        files = [
            part(tmp_path / f"{n}.jsonl", n, 3, [cell(2 * n), cell(2 * n + 1)], seen=[sight(each)])
            for n, each in enumerate(seen, 1)
        ]
        merged = merge(files, tmp_path / "all.jsonl")
        assert merged.right == (not merged.complaints)
        return merged.complaints

    assert not complaints("no failure", "no cell", "failure")
    assert not complaints("no cell", "no cell", "no verdict")
    assert "no longer needed" in complaints("no cell", "no failure", "no verdict")[0]
    assert "matches no cell" in complaints("no cell", "no cell", "no cell")[0]
    with pytest.raises(ResultsError, match="malformed"):
        complaints("no cell", "something", "no cell")


def test_a_part_is_neither_a_green_page_nor_history(tmp_path):
    one, *_ = three(tmp_path)
    text = build([one], tmp_path / "site").read_text(encoding="utf-8")
    assert 'class="banner bad"' in text
    assert "parts of a plan" in text
    with pytest.raises(LossmarkError, match="part 1/3 of a plan"):
        history.add([one], tmp_path / "history")


PLAN = ("--impl", "numpy", "--impl", "torch", "--mode", "eager", "--loss", "contrastive", "--loss", "pairwise_hinge")
PLAN += ("--dtype", "float32", "--dtype", "float64")


@pytest.mark.skipif(framework_version("torch") is None, reason="the plan has torch")
def test_a_plan_that_is_cut_and_merged_is_the_plan_as_one(tmp_path):
    whole = conformance(*PLAN, "--results", "whole.jsonl", cwd=tmp_path)
    assert whole.returncode == 0, whole.stdout[-2000:]
    for of in (4, 7):
        parts = [f"{index}-{of}.jsonl" for index in range(1, of + 1)]
        for index, name in enumerate(parts, 1):
            done = conformance(*PLAN, "--shard", f"{index}/{of}", "--results", name, cwd=tmp_path)
            assert done.returncode == 0, done.stdout[-2000:]
        done = lossmark("merge", *parts, "-o", "all.jsonl", cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert not differences(tmp_path / "whole.jsonl", tmp_path / "all.jsonl")
        assert read(tmp_path / "all.jsonl").complete


def test_a_command_without_its_arguments_says_which(tmp_path):
    done = lossmark("merge", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr == "lossmark: Missing argument 'parts'. (see lossmark --help)\n"

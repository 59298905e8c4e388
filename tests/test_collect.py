"""Results of strangers become a scoreboard: bounded, checked, without their paths; what is not believed is withheld."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lossmark.errors import LossmarkError
from lossmark.results import fetched
from lossmark.results.collected import collect
from lossmark.specification.library import losses, specs_digest
from tests.processes import lossmark
from tests.sites import HOSTILE, LOSSES, cell
from tests.test_merge import part

SPECS = "0123456789abcdef"


def report(path, cells=None, **changed):
    """A results file as another repository publishes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"specs": changed.pop("specs", SPECS)} | changed.pop("facts", {})
    cells = [cell(number, impl="theirs") for number in range(10)] if cells is None else cells
    return part(path, 1, 1, cells, facts=facts, **({"frameworks": {"torch": "2.13"}} | changed))


def collected(source):
    return collect(source, SPECS, LOSSES)


def reasons(source):
    return {(one.name, one.version): one.reason for one in collected(source).withheld}


def test_a_folder_is_names_and_versions_in_order_of_time(tmp_path):
    report(tmp_path / "alone.jsonl")
    report(tmp_path / "many" / "2.0.jsonl", date="2026-01-01")
    report(tmp_path / "many" / "1.9.jsonl", date="2026-03-01")
    found = collected(tmp_path)
    assert not found.withheld
    assert [(one.name, one.version) for one in found.standings] == [("alone", ""), ("many", "2.0"), ("many", "1.9")]
    tally = found.standings[0].tallies
    assert sum(each.counts["pass"] for each in tally.values()) == 10


def test_a_list_names_files_beside_it(tmp_path):
    report(tmp_path / "files" / "a.jsonl")
    (tmp_path / "list").write_text("# of friends\n\nfriend/lib v1.2 files/a.jsonl\nfriend/lib v1.3 files/none.jsonl\n")
    found = collected(tmp_path / "list")
    assert [(one.name, one.version) for one in found.standings] == [("friend/lib", "v1.2")]
    assert "No such file" in found.withheld[0].reason


@pytest.mark.parametrize("text", ["", "# nothing\n", "one\n", "a b c d\n", "<b> x.jsonl\n", "a <b> x.jsonl\n"])
def test_a_list_that_is_malformed_is_refused(text, tmp_path):
    (tmp_path / "list").write_text(text)
    with pytest.raises(LossmarkError, match="list"):
        collected(tmp_path / "list")


def test_no_results_are_refused(tmp_path):
    for source in (tmp_path, tmp_path / "none"):
        with pytest.raises(LossmarkError):
            collected(source)


def rewritten(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


SPOILT = {
    "other specs": (lambda path: report(path, specs="f" * 16), "other specs (ffffffffffffffff"),
    "no specs": (lambda path: rewritten(path, '"specs"', '"spocs"'), "does not say by which specs"),
    "a part": (lambda path: report(path, facts={"shard": {"index": 1, "of": 2, "cut": ""}}), "part of a plan"),
    "died": (lambda path: report(path, footer=False), "died before its end"),
    "incomplete": (lambda path: report(path, planned=11), "10 of 11 cells"),
    "all errors": (lambda path: report(path, [cell(n, "error") for n in range(3)]), "nothing was judged: of 3 cells 3"),
    "nothing run": (lambda path: report(path, [cell(n, "not-run") for n in range(3)]), "nothing was judged"),
    "another loss": (lambda path: rewritten(path, '"loss": "bpr"', '"loss": "focal"'), "'focal', which no spec is of"),
    "a verdict": (lambda path: rewritten(path, '"pass"', '"good"'), "verdict"),
    "a text for a number": (lambda path: rewritten(path, '"error_ulp": 0.3', '"error_ulp": "0.3"'), "error_ulp"),
    "a path for a name": (lambda path: rewritten(path, '"impl": "theirs"', '"impl": "/home/me/x"'), "impl"),
    "markup for a name": (lambda path: rewritten(path, '"impl": "theirs"', '"impl": "<b>"'), "impl"),
    "a long name": (lambda path: rewritten(path, '"impl": "theirs"', f'"impl": "{"x" * 81}"'), "impl"),
    "a long case": (lambda path: report(path, [cell(0, case="x" * 201)]), "case"),
    "a path for a version": (lambda path: report(path, frameworks={"torch": "/home/me/torch"}), "frameworks.torch"),
    "a date": (lambda path: report(path, date="yesterday"), "date"),
    "too many rows": (lambda path: report(path, [cell(0, impl=f"i{n}") for n in range(5001)]), "more than 5000"),
    "no JSON": (lambda path: path.write_text(path.read_text() + "garbage\n{}\n"), "not a JSON line"),
    "deep JSON": (lambda path: path.write_text(path.read_text() + "[" * 100_000 + "\n{}\n"), "not a JSON line"),
    "a long line": (lambda path: path.write_text(path.read_text() + "x" * (1 << 21)), "a line of more than"),
    "after the end": (lambda path: path.write_text(path.read_text() + '{"kind": "note"}\n'), "goes on after"),
    "no results": (lambda path: path.write_text("{}\n"), "no header"),
    "nothing": (lambda path: path.write_text(""), "empty"),
    "no text": (lambda path: path.write_bytes(b"\xff\xfe\x00"), "not a JSON line"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_cannot_be_believed_is_withheld_without_a_path(name, tmp_path):
    spoil, words = SPOILT[name]
    report(tmp_path / "right.jsonl")
    spoil(report(tmp_path / "wrong.jsonl"))
    found = collected(tmp_path)
    assert [one.name for one in found.standings] == ["right"]
    (withheld,) = found.withheld
    assert words in withheld.reason
    assert "/" not in withheld.reason.replace("http://", "")


def test_two_reports_of_one_version_are_not_added(tmp_path):
    report(tmp_path / "a.jsonl")
    (tmp_path / "list").write_text("n v a.jsonl\nn v a.jsonl\n")
    assert reasons(tmp_path / "list") == {("n", "v"): "another report has the same name and version"}


def test_a_large_file_is_withheld(tmp_path, monkeypatch):
    monkeypatch.setattr(fetched, "LARGEST_FILE", 1000)
    report(tmp_path / "a.jsonl")
    assert "at most 1000 bytes" in reasons(tmp_path)["a", ""]


class Server(BaseHTTPRequestHandler):
    """A server of results, and of what strangers may send instead."""

    def do_GET(self):
        if self.path == "/moved":
            return self.answer(302, b"", Location="/good")
        if self.path == "/to-file":
            return self.answer(302, b"", Location="file:///etc/passwd")
        if self.path == "/to-ftp":
            return self.answer(302, b"", Location="ftp://127.0.0.1/x")
        if self.path == "/loop":
            return self.answer(302, b"", Location="/loop")
        if self.path == "/short":
            return self.answer(200, b"{", Length="100")
        if self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(b'{"kind": "header"}' * 1000)
        if self.path == "/silent":
            self.send_response(200)
            self.end_headers()
            self.wfile.flush()
            return self.server.released.wait(30)
        return self.answer(200, self.server.content) if self.path == "/good" else self.answer(404, b"none")

    def answer(self, code, content, Length=None, **headers):
        self.send_response(code)
        self.send_header("Content-Length", Length or str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture
def served(tmp_path):
    """Reasons why each of some addresses of a local server is withheld; an empty one for what is shown."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.daemon_threads = True
    server.content, server.released = report(tmp_path / "served.jsonl").read_bytes(), threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def withheld(*paths):
        base = f"http://127.0.0.1:{server.server_port}"
        lines = [f"n{n} {path if '://' in path else base + path}" for n, path in enumerate(paths)]
        (tmp_path / "list").write_text("\n".join(lines) + "\n")
        found = reasons(tmp_path / "list")
        return [found.get((f"n{n}", ""), "") for n in range(len(paths))]

    yield withheld
    server.released.set()
    server.shutdown()
    server.server_close()


def test_results_are_fetched_by_http(served):
    good, moved, none, loop, short = served("/good", "/moved", "/none", "/loop", "/short")
    assert (good, moved, none) == ("", "", "cannot be fetched: HTTP 404")
    assert "cannot be fetched" in loop
    assert "JSON" in short or "cannot be fetched" in short


def test_nothing_but_http_is_fetched(served, tmp_path):
    file, ftp, to_ftp, to_file = served(
        (tmp_path / "served.jsonl").as_uri(), "ftp://127.0.0.1/x", "/to-ftp", "/to-file"
    )
    assert file == "file: is not fetched, http and https are"
    assert ftp == to_ftp == "ftp: is not fetched, http and https are"
    assert to_file == "cannot be fetched: HTTP 302"  # which urllib does not follow by itself


def test_what_does_not_end_is_given_up(served, monkeypatch):
    monkeypatch.setattr(fetched, "LARGEST_FILE", 1 << 20)
    monkeypatch.setattr(fetched, "SILENCE", 0.5)
    endless, silent = served("/endless", "/silent")
    assert endless == f"has more than {1 << 20} bytes"
    assert "timed out" in silent
    monkeypatch.setattr(fetched, "LARGEST_FILE", 1 << 40)
    monkeypatch.setattr(fetched, "LONGEST_FETCH", 0.0)
    assert "did not come within" in served("/endless")[0]


def test_a_scoreboard_shows_the_latest_and_the_trend_and_no_path(tmp_path):
    digest = specs_digest()
    worse = [cell(0, "fail", impl="theirs"), *(cell(number, impl="theirs") for number in range(1, 10))]
    secret = {"implementations": {"theirs": "/home/me/secret.py"}, "cpu": "secret cpu"}
    report(tmp_path / "in" / "lib" / "1.0.jsonl", specs=digest, date="2026-01-01", **secret)
    report(tmp_path / "in" / "lib" / "1.1.jsonl", worse, specs=digest, date="2026-02-01", **secret)
    hostile = [cell(0, detail=f"{HOSTILE} /home/me/secret", case=HOSTILE)]
    report(tmp_path / "in" / "hostile.jsonl", hostile, specs=digest)
    report(tmp_path / "in" / "errors.jsonl", [cell(0, "error")], specs=digest)
    done = lossmark("collect", "in", "-o", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "withheld: errors: nothing was judged" in done.stdout
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    record = json.loads((tmp_path / "out" / "scoreboard.json").read_text(encoding="utf-8"))
    for page in (text, json.dumps(record)):
        assert "secret" not in page
        assert "<script>alert" not in page
    assert "lib 1.1" in text
    assert "lib 1.0" not in text.partition("By version")[0]
    assert {(one["name"], one["version"]) for one in record["reports"]} == {
        ("lib", "1.0"),
        ("lib", "1.1"),
        ("hostile", ""),
    }
    assert record["specs"] == digest
    (trend,) = [line for line in text.splitlines() if "<td>1.1</td>" in line]
    assert trend.count("<td") == 9
    assert '<td class="number">9</td><td class="number">10</td><td class="number">90.00 %</td>' in trend
    assert '<td class="number fail">1</td><td class="number">0</td>' in trend


def test_a_scoreboard_of_nothing_is_exit_1(tmp_path):
    report(tmp_path / "in" / "a.jsonl")
    done = lossmark("collect", "in", "-o", "out", cwd=tmp_path)
    assert done.returncode == 1
    assert "other specs" in done.stdout
    assert "No report can be shown" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_a_scoreboard_opens_silently(opened, tmp_path):
    report(tmp_path / "in" / "lib" / "1.0.jsonl", specs=specs_digest())
    lossmark("collect", "in", "-o", "out", cwd=tmp_path)
    tab = opened(tmp_path / "out" / "index.html", java_script_enabled=False)
    assert tab.locator("h1").inner_text().startswith("Losses of other repositories")


def test_the_losses_of_the_tests_are_losses():
    assert set(LOSSES) <= set(losses())

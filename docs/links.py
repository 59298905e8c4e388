"""Links inside the site: each must lead to a file that is there, and to a place in it that is there."""

from collections.abc import Collection, Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    """The links of a page, and the places that can be linked to."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is None:
                continue
            if name in ("href", "src"):
                self.links.append(value)
            elif name == "id" or (tag == "a" and name == "name"):
                self.places.add(value)


@cache
def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def broken(site: Path, missing: Collection[str] = ()) -> Iterator[str]:
    """A line for each link that leads nowhere. ``missing`` names files, relative to ``site``, that may be absent.

    Addresses of other hosts are not looked at, nor are the pages of the sample report, whose places a script makes.
    """
    for path in sorted(site.rglob("*.html")):
        if (site / "report") in path.parents:
            continue
        for link in _read(path).links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            where = f"{path.relative_to(site)}: {link}"
            if not target.is_file():
                if not any(target == (site / name).resolve() for name in missing):
                    yield f"{where}: no such file"
            elif parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in _read(target).places:
                yield f"{where}: no such place"

#!/usr/bin/env python3
"""What mdbook asks of this repository: pages from outside docs/, and links to its files.

mdbook runs it as a preprocessor (book.toml). The pages are plain files that a forge shows as they
are, so their links are between files of the repository. In the book

- a page that is not in docs/ gets a place of its own, and links to it lead there;
- a source file that a page links to becomes a page at the end;
- any other link out of docs/ becomes plain text, if what it leads to is there.

    tools/book.py --check-links DIRECTORY    every link of the built book leads somewhere
"""

import json
import os
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = {".c": "c", ".cpp": "cpp", ".h": "c", ".hpp": "cpp", ".py": "python", ".yml": "yaml",
             ".service": "ini"}
FENCE = re.compile(r"^(```.*?^```[ \t]*$)", re.M | re.S)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")


# --- the preprocessor ----------------------------------------------------------------------------

def chapters(items):
    for item in items:
        if "Chapter" in item:
            yield item["Chapter"]
            yield from chapters(item["Chapter"]["sub_items"])


def source_of(chapter):
    """The page's file, relative to the repository."""
    return os.path.normpath(os.path.join("docs", chapter["source_path"]))


def place_of(source):
    """Where the page of this file is in the book."""
    if source.startswith("docs/"):
        return source.removeprefix("docs/")
    if source == "README.md":
        return "index.md"
    return source.removesuffix("/README.md").removesuffix(".md").lower() + ".md"


def source_page(source):
    """A chapter that shows a source file."""
    text = (ROOT / source).read_text()
    language = LANGUAGES[Path(source).suffix]
    place = "source/" + source.replace(".", "_") + ".md"
    return {"name": source, "content": f"# {source}\n\n````{language}\n{text}````\n",
            "number": None, "sub_items": [], "path": place, "source_path": None,
            "parent_names": ["Source files"]}


class Links:
    """Rewrites the links of one page after the other, and collects the source files that they
    lead to."""

    def __init__(self, pages):
        self.places = {source: place_of(source) for source in pages}
        self.sources = {}

    def rewrite(self, text, source):
        parts = FENCE.split(text)
        for i in range(0, len(parts), 2):
            parts[i] = LINK.sub(lambda link: self.replace(link, source), parts[i])
        return "".join(parts)

    def replace(self, link, source):
        image, text, target = link.groups()
        if urlsplit(target).scheme or target.startswith("#"):
            return link[0]
        path, _, anchor = target.partition("#")
        file = os.path.normpath(os.path.join(os.path.dirname(source), path))
        if not (ROOT / file).exists():
            sys.exit(f"{source}: a link to {target}, which is not there")
        place = self.place(file)
        if place is None:
            return text
        here = os.path.dirname(self.places[source])
        return f"{image}[{text}]({os.path.relpath(place, here or '.')}{'#' * bool(anchor)}{anchor})"

    def place(self, file):
        if file in self.places:
            return self.places[file]
        if file.startswith("docs/") and (ROOT / file).is_file() and not file.endswith(".md"):
            return file.removeprefix("docs/")
        if Path(file).suffix in LANGUAGES:
            page = self.sources.setdefault(file, source_page(file))
            return page["path"]
        return None


def preprocess(book):
    pages = list(chapters(book["items"]))
    known = {source_of(page) for page in pages} | {"docs/SUMMARY.md"}
    for page in sorted((ROOT / "docs").rglob("*.md")):
        if str(page.relative_to(ROOT)) not in known:
            sys.exit(f"{page.relative_to(ROOT)} is not in docs/SUMMARY.md")
    links = Links([source_of(page) for page in pages])
    for page in pages:
        source = source_of(page)
        page["content"] = links.rewrite(page["content"], source)
        page["path"] = place_of(source)
    if links.sources:
        book["items"].append({"PartTitle": "Source files"})
        book["items"].extend({"Chapter": page} for _, page in sorted(links.sources.items()))
    return book


# --- the links of what was built -----------------------------------------------------------------

class Page(HTMLParser):
    """The ids and the links of a page."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links = set(), []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if "id" in attrs:
            self.ids.add(attrs["id"])
        self.links += [attrs[name] for name in ("href", "src") if attrs.get(name)]


def broken_links(directory):
    pages = {path: Page(path) for path in sorted(directory.rglob("*.html"))}
    for path, page in pages.items():
        if path.name in ("404.html", "toc.html"):  # mdbook's own, with links of another base
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.is_file():
                yield path, link, "there is no such file"
            elif parts.fragment and target in pages:
                if unquote(parts.fragment) not in pages[target].ids:
                    yield path, link, "there is no such heading"


def check_links(directory):
    found = list(broken_links(directory.resolve()))
    for path, link, why in found:
        print(f"{path.relative_to(directory.resolve())}: {link}: {why}", file=sys.stderr)
    return 1 if found else 0


def main(arguments):
    if arguments[:1] == ["supports"]:
        return 0
    if arguments[:1] == ["--check-links"]:
        return check_links(Path(arguments[1]))
    _, book = json.load(sys.stdin)
    json.dump(preprocess(book), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

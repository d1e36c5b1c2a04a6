"""Reads the modules of a Rust crate and what each file imports. Used by tools/arrows.py.

Files are found the way the compiler finds them: from lib.rs or main.rs through `mod name;`. Tests
are left out: every item under `#[cfg(test)]`, and the files that such a `mod` names.

This is not a compiler. It does not expand macros, and it takes a name that it cannot find in a
module as defined there.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|/\*.*?\*/)
      | (?P<text>b?r(?P<hashes>\#*)".*?"(?P=hashes)|[bc]?"(?:\\.|[^"\\])*"|b?'(?:\\.[^']*|[^\\'])')
      | (?P<lifetime>'\w+)
      | (?P<word>(?:r\#)?[A-Za-z_]\w*)
      | (?P<sign>::|.)""",
    re.VERBOSE | re.DOTALL,
)
CLOSING = {"(": ")", "[": "]", "{": "}"}
DEFINING = {"fn", "struct", "enum", "union", "trait", "type", "const", "static", "macro_rules"}
ITEMS = DEFINING | {"impl", "mod", "use", "unsafe", "extern", "async"}


@dataclass(frozen=True)
class Token:
    text: str
    line: int
    is_word: bool


@dataclass
class Use:
    """One name that a `use` brings into a module; `*` for all names."""

    path: tuple
    name: str
    line: int


@dataclass
class Module:
    """A file, or a `mod name { … }` inside one."""

    path: tuple
    file: Path
    parent: "Module | None"
    # Where `mod name;` looks for name.rs and name/mod.rs.
    folder: Path
    children: dict = field(default_factory=dict)
    defined: set = field(default_factory=set)
    uses: list = field(default_factory=list)
    # Paths written out in code: (path, line).
    inline: list = field(default_factory=list)
    # The folders (and, with .rs, the files) of its test modules.
    test_modules: list = field(default_factory=list)


def tokens_of(text):
    line, found = 1, []
    for match in TOKEN.finditer(text):
        if match["word"] or match["sign"]:
            found.append(Token(match[0].removeprefix("r#"), line, bool(match["word"])))
        line += match[0].count("\n")
    return found


def closing_of(tokens, start):
    """The index of the bracket that closes the one at `start`."""
    depth = 0
    for index in range(start, len(tokens)):
        if tokens[index].text in CLOSING:
            depth += 1
        elif tokens[index].text in CLOSING.values():
            depth -= 1
            if depth == 0:
                return index
    raise ValueError(f"line {tokens[start].line}: a bracket is not closed")


def needs_test(condition):
    """Whether the condition of a `cfg` can only hold in a test build."""
    if condition[0] not in ("all", "any"):
        return condition == ["test"]
    parts, depth = [[]], 0
    for word in condition[2:-1]:
        depth += (word == "(") - (word == ")")
        if word == "," and depth == 0:
            parts.append([])
        else:
            parts[-1].append(word)
    some_or_every = any if condition[0] == "all" else all
    return some_or_every(needs_test(part) for part in parts if part)


class Parser:
    """Fills a module from the tokens of its file."""

    def __init__(self, tokens):
        self.tokens = tokens

    def text(self, index):
        return self.tokens[index].text if index < len(self.tokens) else ""

    def items(self, index, end, module):
        """The items of a module, from `index` up to `end`."""
        while index < end:
            index, is_test = self.attributes(index, end)
            if index < end:
                index = self.item(index, end, module, is_test)

    def attributes(self, index, end):
        """Passes over `#[…]` and returns whether one of them asks for a test build."""
        is_test = False
        while index < end and self.text(index) == "#":
            start = index + 1 + (self.text(index + 1) == "!")
            close = closing_of(self.tokens, start)
            words = [token.text for token in self.tokens[start + 1:close]]
            is_test |= words[:1] == ["cfg"] and needs_test(words[2:-1])
            index = close + 1
        return index, is_test

    def item_end(self, index, end):
        """The end of the item, the statement or the field that begins at `index`."""
        keyword = self.text(self.past_visibility(index))
        is_use, is_item = keyword == "use", keyword in ITEMS
        while index < end:
            text = self.text(index)
            if text == ";" or (text == "," and not is_item):
                return index + 1
            if text in CLOSING:
                close = closing_of(self.tokens, index)
                if text == "{" and not is_use:
                    return close + 1
                index = close
            elif text in CLOSING.values():
                return index
            index += 1
        return end

    def past_visibility(self, index):
        if self.text(index) == "pub":
            index += 1
            if self.text(index) == "(":
                index = closing_of(self.tokens, index) + 1
        return index

    def item(self, index, end, module, is_test):
        stop = self.item_end(index, end)
        start = self.past_visibility(index)
        keyword = self.text(start)
        if keyword == "mod":
            self.module(start, stop, module, is_test)
        elif is_test:
            pass
        elif keyword == "use":
            self.use(start, stop, module)
        else:
            module.defined.add(self.name(start, stop))
            self.body(start, stop, module)
        return max(stop, index + 1)

    def module(self, start, stop, module, is_test):
        name = self.text(start + 1)
        folder = module.folder / name
        if is_test:
            module.test_modules.append(folder)
            return
        child = Module((*module.path, name), module.file, module, folder)
        if self.text(start + 2) == ";":
            places = [folder.with_suffix(".rs"), folder / "mod.rs"]
            child.file = next(place for place in places if place.exists())
            read_file(child)
        else:
            self.items(start + 3, stop - 1, child)
        module.children[name] = child

    def name(self, start, stop):
        """The name that an item defines; None for an `impl` or the call of a macro."""
        for index in range(start, stop):
            text = self.text(index)
            if text not in ITEMS:
                return None
            after = index + (2 if text == "macro_rules" else 1)
            # `const fn`, `unsafe extern fn` and others: the name follows the last keyword.
            if text in DEFINING and self.text(after) not in ITEMS:
                return self.text(after)
        return None

    def use(self, start, stop, module):
        for path, name, line in self.tree(start + 1, stop - 1, ()):
            module.uses.append(Use(path, name, line))

    def tree(self, index, end, prefix):
        """The leaves of a `use` tree: (path, name in this module, line)."""
        path, name = prefix, None
        while index < end:
            token = self.tokens[index]
            if token.text == "{":
                close = closing_of(self.tokens, index)
                yield from self.tree(index + 1, close, path)
                index, path, name = close, prefix, None
            elif token.text == ",":
                if name:
                    yield path, name, line
                path, name = prefix, None
            elif token.text == "as":
                index += 1
                name = self.text(index)
            elif token.text == "self" and path:
                name, line = path[-1], token.line
            elif token.is_word or token.text == "*":
                path, name, line = (*path, token.text), token.text, token.line
            index += 1
        if name:
            yield path, name, line

    def body(self, index, end, module):
        """Paths and `use` inside an item; what a test build adds is passed over."""
        while index < end:
            token = self.tokens[index]
            if token.text == "#" and self.text(index + 1) in ("[", "!"):
                index, is_test = self.attributes(index, end)
                index = self.item_end(index, end) if is_test else index
            elif token.text == "pub":
                index = self.past_visibility(index)
            elif token.text == "use" and self.text(index + 1) != "<":
                stop = self.item_end(index, end)
                self.use(index, stop, module)
                index = stop
            elif token.is_word:
                index = self.path(index, end, module)
            else:
                index += 1

    def path(self, index, end, module):
        token, path = self.tokens[index], [self.text(index)]
        index += 1
        while index + 1 < end and self.text(index) == "::" and self.tokens[index + 1].is_word:
            path.append(self.text(index + 1))
            index += 2
        if len(path) > 1:
            module.inline.append((tuple(path), token.line))
        return index


def read_file(module):
    tokens = tokens_of(module.file.read_text())
    Parser(tokens).items(0, len(tokens), module)


def read_crate(root_file):
    crate = Module((), root_file, None, root_file.parent)
    read_file(crate)
    return crate


def walk(module):
    yield module
    for child in module.children.values():
        yield from walk(child)


class Resolver:
    """Finds the module in which a path's item is defined, through `use` and re-exports."""

    def __init__(self, crate):
        self.crate = crate

    def resolve(self, module, path, seen=frozenset()):
        """The module that the path names, the module that defines the item, and the item.

        The item is None for a path to a module. None instead of all three if the path leads out of
        the crate.
        """
        here, rest = self.start(module, path, seen)
        if here is None:
            return None
        named = here
        while rest:
            name, rest = rest[0], rest[1:]
            if name in here.children:
                here = named = here.children[name]
                continue
            if name == "*" or name in here.defined:
                return named, here, name
            found = self.imported(here, name, seen)
            if found == "outside":
                return None
            if found is None:
                return named, here, name
            _, here, item = found
            if item is not None:
                return named, here, item
        return named, here, None

    def start(self, module, path, seen):
        """The module from which the rest of a path is looked up."""
        head, rest = path[0], path[1:]
        if head == "crate":
            return self.crate, rest
        if head in ("self", "super"):
            here = module if head == "self" else module.parent
            while here and rest and rest[0] == "super":
                here, rest = here.parent, rest[1:]
            return here, rest
        if head in module.children:
            return module.children[head], rest
        if rest or seen:
            found = self.imported(module, head, seen)
            if found and found != "outside" and found[2] is None:
                return found[1], rest
        return None, rest

    def imported(self, module, name, seen):
        """What a `use` of the module makes of a name; None if there is no such `use`."""
        for use in module.uses:
            key = (module.path, use.path)
            if key in seen or use.name not in (name, "*"):
                continue
            if use.name == name:
                return self.resolve(module, use.path, seen | {key}) or "outside"
            target = self.resolve(module, use.path[:-1], seen | {key})
            if target and target[2] is None and self.has(target[1], name):
                return self.resolve(target[1], ("self", name), seen | {key})
        return None

    def has(self, module, name):
        named = any(use.name == name for use in module.uses)
        return named or name in module.defined or name in module.children

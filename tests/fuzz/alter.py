"""Ways to make bytes, trees and words wrong."""

from __future__ import annotations

import copy
import random
from typing import Any

WORDS = (
    "", " ", "-", "--", "0", "-1", "1", "2", "3", "7", "nan", "inf", "-inf", "1e308", "-1e308", "1e-308", "1e400", "0x10", "1_0",
    "99999999999", "99999999999999999999", "9" * 5000, "1.5", "true", "null", "none", "auto", "max", "all", "best", "fast", "a",
    "é", "µ", "ａ", "a" * 1000, "b" * 100_000, "\x1b[31mred", "a\nb", "a\rb", "\x07", "\u202eright", "\u2028", "\x9b2J", "..",
    "../..", "/", "*", "%s", "{}", "{0}", "[]", "[" * 10_000, "{" * 500, "[1,2", "3,4", "3:4:1", "4:3:1", "1:1e9:1e-9", "k=v", "=",
    "==", "a=", "=a", "tiles=48", "tiles=0", "'", '"', "\\", "$(true)", "`true`", "!x", "<x>", "&#0;", "dense", "aras", "1,,2", ",",
)  # fmt: skip
NUMBERS = (
    0, -1, 1, 2, 3, 255, 256, 65536, 10**6, 10**9, 10**12, 2**31, 2**32, 2**63, 2**64, 10**30, 0.5, -0.5, 1.5, 1e-9, 1e-30, 1e-300,
    1e30, 1e300, float("inf"), float("-inf"), float("nan"),
)  # fmt: skip


def junk(rng: random.Random, depth: int = 2) -> Any:
    """Return any value."""
    kinds = ["number", "word", "none", "bool"] + ["list", "mapping"] * (depth > 0)
    kind = rng.choice(kinds)
    if kind == "number":
        return rng.choice(NUMBERS)
    if kind == "word":
        return rng.choice(WORDS)[:3000]
    if kind == "none":
        return None
    if kind == "bool":
        return rng.random() < 0.5
    if kind == "list":
        return [junk(rng, depth - 1) for _ in range(rng.choice((0, 1, 3)))]
    return {rng.choice(WORDS)[:50]: junk(rng, depth - 1) for _ in range(rng.choice((0, 1, 2)))}


def nested(depth: int) -> Any:
    """Return lists within lists."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every part of a tree, the whole of it left out."""
    keys = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [each for key, value in keys for each in ((*path, key), *places(value, (*path, key)))]


def tree(rng: random.Random, content: Any, times: int = 1) -> Any:
    """Return a tree with parts replaced, taken away, doubled or renamed."""
    content = copy.deepcopy(content)
    for _ in range(times):
        ways = places(content)
        if not ways:
            return junk(rng)
        *path, last = rng.choice(ways)
        part = content
        for key in path:
            part = part[key]
        change = rng.choice(("replace", "replace", "replace", "remove", "rename", "double", "deep"))
        if change == "replace":
            part[last] = (
                rng.choice(NUMBERS) if isinstance(part[last], int | float) and rng.random() < 0.6 else junk(rng)
            )
        elif change == "remove":
            del part[last]
        elif change == "deep":
            part[last] = nested(rng.choice((5, 40, 200)))
        elif isinstance(part, dict):
            part[rng.choice((*WORDS[:60], last + "x" if isinstance(last, str) else "x"))] = (
                part.pop(last) if change == "rename" else copy.deepcopy(part[last])
            )
        else:
            part.insert(last, copy.deepcopy(part[last]))
    return content


def data(rng: random.Random, content: bytes) -> bytes:
    """Return bytes with some flipped, cut, put in, doubled or overwritten."""
    content = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(content) + 1)
        size = rng.choice((1, 2, 4, 16, 200))
        change = rng.choice(("flip", "cut", "insert", "repeat", "fill", "remove"))
        if change == "flip" and at < len(content):
            content[at] ^= 1 << rng.randrange(8)
        elif change == "cut":
            del content[at:]
        elif change == "insert":
            content[at:at] = rng.randbytes(size)
        elif change == "repeat":
            content[at:at] = content[at : at + size]
        elif change == "fill":
            content[at : at + size] = rng.choice((b"\0", b"\xff", b"[", b"9")) * min(size, len(content) - at)
        elif change == "remove":
            del content[at : at + size]
    return bytes(content)


def text(rng: random.Random, content: str) -> bytes:
    """Return text with lines or words changed, or no text any more."""
    lines = content.split("\n")
    for _ in range(rng.choice((1, 1, 3))):
        at = rng.randrange(len(lines))
        change = rng.choice(("word", "word", "drop", "twice", "swap", "tab", "bytes", "end"))
        if change == "word":
            parts = lines[at].split(" ")
            parts[rng.randrange(len(parts))] = rng.choice(WORDS)[:5000]
            lines[at] = " ".join(parts)
        elif change == "drop" and len(lines) > 1:
            del lines[at]
        elif change == "twice":
            lines.insert(at, lines[at])
        elif change == "swap":
            other = rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        elif change == "tab":
            lines[at] = "\t" + lines[at]
        elif change == "bytes":
            lines[at] += rng.choice(("\0", "\x1b[2J", "\ufeff", "\x85", "\ud800"))
        elif change == "end":
            lines = lines[: at + 1]
    joined = rng.choice(("\n", "\n", "\n", "\r\n", "\r")).join(lines)
    encoding = rng.choice(("utf-8", "utf-8", "utf-8", "utf-8", "utf-16", "latin-1"))
    return joined.encode(encoding, "surrogatepass" if encoding == "utf-8" else "replace")


def yaml_bomb(rng: random.Random) -> bytes:
    """Return YAML that nests or repeats without end."""
    count = rng.choice((1000, 100_000))
    laughs = ["a: &a [1, 1]"] + [
        f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]" for i in range(20)
    ]
    merges = ["a: &a {k: 1}"] + [
        f"{chr(98 + i)}: &{chr(98 + i)} {{<<: [{', '.join([f'*{chr(97 + i)}'] * 9)}]}}" for i in range(20)
    ]
    return rng.choice(
        (
            "[" * count, "{a: " * count, "- " * count, "a:\n" + "".join(" " * i + "a:\n" for i in range(1000)), "? " * count,
            "\n".join(laughs), "\n".join(merges), "a: &a [*a]", "a: &a {<<: *a}", "a: *b", "x: " + ":1" * count,
            "x: " + "9" * count,
            "x: !!python/object/apply:os.system ['true']", "x: !!binary " + "A" * count, "x: 2001-99-99", "? [a]\n: 1", "<<: 1",
            "x: !!int a", "x: !!timestamp 9", "!!omap [a]", "%YAML 9.9\n---\na: 1", "--- 1\n--- 2", "a: 1\na: 2", "", "\0", "null",
            "x: &" + "a" * count, "!" * count, "'" * count, "x: \"\\U99999999\"", "x: .inf", "{1: 2}", "~: 1",
        )
    ).encode()  # fmt: skip

"""A lower bound from the turnover of groups: within the time of one write no group serves two written blocks.

A group that serves a block and then another is written in between, which takes W. So in any stretch of time of length W at most
G written blocks are used (G groups). From the first possible start of computing, time is cut into such stretches, the first of
any length up to W; in each, layers get as far as G written blocks can take them. Getting further in one stretch never
hurts in the next, so the furthest in each bounds every schedule. The argument is in docs/bound.md.

In a stretch, n written blocks of a layer with b blocks and M windows do a share f of its b M block windows in at least
f b M t / n of time; since none serves more than M of them n is at least f b, and no more than b M are of use. A layer that lies
in the stretch whole has some whole number c of copies of its least copied block, n = b c. How far G written blocks go
is bounded with a multiplier m: the least of time + m n over all layers, each by itself, less m G, whatever m >= 0. A share f of a
layer also takes f times what its inputs need of the port that they pass, and what goes on between layers needs no blocks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]

OFFSETS = 32
"""Lengths tried for the first stretch, evenly from W / OFFSETS to W; each gives a valid bound."""

REFINEMENTS = 24
"""Further lengths tried between the best and the next: the bound grows with the length up to where a stretch fewer will do."""

MANY = 64
"""Stretches beyond which one length is enough: the others gain a fraction of one stretch."""

STRETCHES = 256
"""Stretches followed at the most; what has passed by then bounds the end, too."""

HALVINGS = 32
"""Steps of each bisection. It ends on the side that keeps the bound valid."""


@njit(cache=True)  # type: ignore[untyped-decorator]
def _part(layers: Floats, layer: int, share: float, price: float) -> tuple[float, float]:
    """Minimise time + price x written blocks of a share of a layer; return that and the blocks used."""
    work, blocks, most, least_s = layers[layer]
    floor = share * least_s
    if blocks == 0.0:
        return floor, 0.0
    busy, fewest = share * work, share * blocks
    # Blocks beyond those that the port feeds take no time off, and cost their price.
    fed = most if floor == 0.0 else busy / floor
    count = min(max(fed if price == 0.0 else min(np.sqrt(busy / price), fed), fewest), most)
    if share == 1.0:
        # Time + price x blocks is convex in the copies: the best whole number is next to the best number.
        below = max(np.floor(count / fewest), 1.0) * fewest
        above = min(below + fewest, most)
        low, high = max(busy / below, floor) + price * below, max(busy / above, floor) + price * above
        count = below if low <= high else above
    return max(busy / count, floor) + price * count, count


@njit(cache=True)  # type: ignore[untyped-decorator]
def _relaxed(layers: Floats, begin: float, end: float, price: float, known: Floats) -> tuple[float, float]:
    """Minimise time + price x written blocks from `begin` to `end` (layers, with shares); return that and the blocks used.

    `known` keeps the sums up to each layer from one `begin` and for one price, which ends that lie near each other have in common.
    known[0] says which: the price, and up to which layer.
    """
    first, whole = int(begin), int(end)
    if whole <= first:
        return _part(layers, first, end - begin, price) if end > begin else (0.0, 0.0)
    if known[0, 0] != price:
        known[0, 0], known[0, 1], known[first + 1, 0], known[first + 1, 1] = price, first, 0.0, 0.0
    for layer in range(int(known[0, 1]), whole):
        least, used = _part(layers, layer, layer + 1.0 - max(begin, float(layer)), price)
        known[layer + 2, 0], known[layer + 2, 1] = known[layer + 1, 0] + least, known[layer + 1, 1] + used
    known[0, 1] = max(known[0, 1], whole)
    least, used = known[whole + 1, 0], known[whole + 1, 1]
    if end > whole:
        more, further = _part(layers, whole, end - whole, price)
        least, used = least + more, used + further
    return least, used


@njit(cache=True)  # type: ignore[untyped-decorator]
def _least_time(layers: Floats, groups: float, begin: float, end: float, enough: float, known: Floats) -> float:
    """Bound the time from `begin` to `end` with `groups` written blocks; infinite where these do not suffice.

    Beyond `enough` any bound will do. `known`: room for _relaxed, for each step of the bisection, and two more.
    """
    if _relaxed(layers, begin, end, np.inf, known[HALVINGS])[1] > groups * (1 + 1e-12):
        return np.inf
    bound, used = _relaxed(layers, begin, end, 0.0, known[HALVINGS + 1])
    if used <= groups:
        return float(bound)
    low, high, scale = 0.0, 1.0, np.max(layers[int(begin) :, 0]) + 1e-300
    for step in range(HALVINGS):
        middle = 0.5 * (low + high)
        # Prices from 0 to infinity, evenly enough for any units.
        price = scale * middle / (1.0 - middle)
        least, used = _relaxed(layers, begin, end, price, known[step])
        bound = max(bound, least - price * groups)
        if bound > enough:
            break
        if used > groups:
            low = middle
        else:
            high = middle
    return float(bound)


@njit(cache=True)  # type: ignore[untyped-decorator]
def turnover_s(layers: Floats, groups: float, start_s: float, write_s: float, first_s: float) -> float:
    """Bound the end of all layers, the first stretch lasting `first_s`, every other one `write_s`.

    `layers` has shape (layers, 4): work, blocks, the most blocks that are of use, and the least time.
    """
    count = float(len(layers))
    known = np.empty((HALVINGS + 2, len(layers) + 2, 2))
    now, done, length = start_s, 0.0, first_s
    for _ in range(STRETCHES):
        known[:, 0, 0] = np.nan
        left = _least_time(layers, groups, done, count, length, known)
        if left <= length:
            return float(now + left)
        low, high = done, count
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            if _least_time(layers, groups, done, middle, length, known) <= length:
                low = middle
            else:
                high = middle
        now, done, length = now + length, high, write_s
    return now


def turnover_bound(
    blocks: Floats,
    windows: Floats,
    *,
    groups: int,
    start_s: float,
    write_s: float,
    window_s: float | Floats,
    port_s: Floats | None = None,
    gaps_s: Floats | None = None,
) -> float:
    """Bound the end in s of computing layer after layer on `groups` groups.

    `blocks` and `windows` have shape (layers,), and so has `window_s` where windows differ. `start_s` is when computing may
    start at the earliest. `port_s` (layers,): the time that the inputs of any share of a layer's windows take of a port is at least
    that share of this. `gaps_s` (layers,): the time after each layer in which none computes. ValueError where a write takes no
    time: nothing follows then.
    """
    if write_s <= 0.0:
        raise ValueError("turnover bounds nothing where a write takes no time")
    work, most = blocks * windows * window_s, blocks * windows
    least_s = np.zeros(len(blocks)) if port_s is None else port_s
    # Copies beyond those that the port feeds gain nothing.
    fed = np.ceil(work / np.maximum(blocks * least_s, 1e-300))
    most = np.maximum(np.minimum(most, blocks * np.minimum(fed, windows)), blocks)
    if gaps_s is not None and gaps_s.any():
        # What goes on between layers is a layer of no blocks.
        none = np.zeros(len(blocks))
        work, blocks, most, least_s = (
            np.stack(pair, axis=1).ravel() for pair in ((work, none), (blocks, none), (most, none), (least_s, gaps_s))
        )

    layers = np.stack((work, blocks, most, least_s), axis=1)

    def bound(first_s: float) -> float:
        return float(turnover_s(layers, float(groups), start_s, write_s, first_s))

    whole = bound(write_s)
    if whole - start_s > MANY * write_s:
        return whole
    step = write_s / OFFSETS
    best, low = max((bound(step * n), step * n) for n in range(1, OFFSETS + 1))
    high = low + step
    for _ in range(REFINEMENTS if low < write_s else 0):
        middle = 0.5 * (low + high)
        value = bound(middle)
        if value > best:
            best, low = value, middle
        else:
            high = middle
    return best

"""The queues of look-ups once more, in plain Python: servers, and activations as coroutines that ask for them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mho.program.lookups import Lookups
from tests.lookup_oracle import Act, acts_of, places_of, rules_of


class Server:
    """One that serves a line of customers one after another: an array, a set of ADCs, a port, adders."""

    def __init__(self) -> None:
        self.line: list[Iterator[Any]] = []
        self.busy = 0.0


@dataclass
class Bench:
    """The queues of a batch: each activation is a coroutine that asks for servers, holds them for a time, and lets them go."""

    seats: dict[int, tuple[int, int]]
    """Instance to its tile and its set of ADCs."""
    tiles: int
    settle_s: float
    convert_s: dict[int, float]
    port_s: float
    adder_s: float
    write_s: float
    arrays: dict[int, Server] = field(default_factory=lambda: defaultdict(Server))
    adcs: dict[int, Server] = field(default_factory=lambda: defaultdict(Server))
    ports: dict[int, Server] = field(default_factory=lambda: defaultdict(Server))
    adders: dict[int, Server] = field(default_factory=lambda: defaultdict(Server))
    crossed: int = 0
    waited: float = 0.0

    def run(self, bags: range, acts: list[Act]) -> list[float]:
        """Return when each bag is done."""
        self.now, self.known = 0.0, 0
        self.agenda: list[tuple[float, int, Iterator[Any]]] = []
        last_of: dict[int, Act] = {}
        keeps: set[int] = set()
        for act in acts:
            before = last_of.get(act.instance)
            if before is not None and before.bag == act.bag:
                keeps.add(before.number)
            last_of[act.instance] = act
        sums = [act for act in acts if act.number not in keeps]
        # What a bag has in each tile, and the tile that has most of it: of several the next one from the bag's turn on.
        parts = Counter((act.bag, self.seats[act.instance][0]) for act in sums)
        homes = {}
        for bag in {act.bag for act in sums}:
            ring = [(bag - bags[0] + step) % self.tiles for step in range(self.tiles)]
            homes[bag] = max(ring, key=lambda tile: parts[bag, tile])
        waiting = dict(parts)
        missing = Counter(bag for bag, _ in parts)
        done = dict.fromkeys(bags, 0.0)
        for act in acts:
            self.step(self.life(act, act.number in keeps, homes[act.bag], (parts, waiting, missing), done))
        while self.agenda:
            entry = min(self.agenda, key=lambda each: each[:2])
            self.agenda.remove(entry)
            self.now = entry[0]
            self.step(entry[2])
        assert not any(missing.values())
        return [done[bag] for bag in bags]

    def life(
        self,
        act: Act,
        keeps: bool,
        home: int,
        counts: tuple[Counter[tuple[int, int]], dict[tuple[int, int], int], Counter[int]],
        done: dict[int, float],
    ) -> Iterator[tuple[str, Any]]:
        """What becomes of an activation."""
        tile, adc = self.seats[act.instance]
        array, adcs = self.arrays[act.instance], self.adcs[adc]
        parts, waiting, missing = counts
        yield "ask", array
        begun = self.now
        yield "hold", self.settle_s
        settled = self.now
        yield "ask", adcs
        self.waited += self.now - settled
        yield "hold", self.convert_s[len(act.lookups)]
        adcs.busy += self.convert_s[len(act.lookups)]
        array.busy += self.now - begun
        yield "leave", adcs
        yield "leave", array
        if keeps:
            return
        if tile == home or parts[act.bag, tile] > 1:
            yield from self.serve(self.adders[tile], self.adder_s)
            waiting[act.bag, tile] -= 1
            if waiting[act.bag, tile]:
                return
        if tile != home:
            self.crossed += 1
            yield from self.serve(self.ports[tile], self.port_s)
            yield from self.serve(self.adders[home], self.adder_s)
        missing[act.bag] -= 1
        if not missing[act.bag]:
            done[act.bag] = self.now + self.write_s

    def serve(self, server: Server, time: float) -> Iterator[tuple[str, Any]]:
        """Be served once."""
        yield "ask", server
        yield "hold", time
        server.busy += time
        yield "leave", server

    def step(self, life: Iterator[Any]) -> None:
        """Go on with an activation until it holds something or waits."""
        for what, which in life:
            if what == "hold":
                self.agenda.append((self.now + which, self.known, life))
                self.known += 1
                return
            if what == "ask":
                which.line.append(life)
                if which.line[0] is not life:
                    return
            else:
                which.line.pop(0)
                if which.line:
                    self.step(which.line[0])


def bench_of(program: Lookups, **times: Any) -> Bench:
    """Queues for the chip of a program, its instances seated round the tiles; `times` instead of those of the chip."""
    rules, (tiles, places) = rules_of(program), places_of(program)
    values: dict[str, Any] = {
        "settle_s": rules.settle_s,
        "convert_s": {len(act.lookups): rules.convert_s(len(act.lookups)) for act in acts_of(program)},
        "port_s": rules.port_s,
        "adder_s": rules.adder_s,
        "write_s": rules.write_s,
        **times,
    }
    return Bench(places, tiles, **values)

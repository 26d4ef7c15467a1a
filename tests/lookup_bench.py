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
        missing = Counter(act.bag for act in acts if act.number not in keeps)
        done = dict.fromkeys(bags, 0.0)
        for act in acts:
            self.step(self.life(act, act.number in keeps, act.bag - bags[0], missing, done))
        while self.agenda:
            entry = min(self.agenda, key=lambda each: each[:2])
            self.agenda.remove(entry)
            self.now = entry[0]
            self.step(entry[2])
        assert not any(missing.values())
        return [done[bag] for bag in bags]

    def life(
        self, act: Act, keeps: bool, turn: int, missing: Counter[int], done: dict[int, float]
    ) -> Iterator[tuple[str, Any]]:
        """What becomes of an activation."""
        tile, adc = self.seats[act.instance]
        array, adcs, home = self.arrays[act.instance], self.adcs[adc], turn % self.tiles
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
        if tile != home:
            self.crossed += 1
            yield "ask", self.ports[tile]
            yield "hold", self.port_s
            self.ports[tile].busy += self.port_s
            yield "leave", self.ports[tile]
        yield "ask", self.adders[home]
        yield "hold", self.adder_s
        self.adders[home].busy += self.adder_s
        yield "leave", self.adders[home]
        missing[act.bag] -= 1
        if not missing[act.bag]:
            done[act.bag] = self.now + self.write_s

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

"""A tile: the controller of a program's instructions, and the groups that it starts."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module

from mho.errors import OptionError
from mho.program import Program
from mho.rtl.combined import combined
from mho.rtl.controller import TileController, TileList
from mho.rtl.group import Group
from mho.rtl.layer import plan_of
from mho.rtl.part import Library, Part
from mho.rtl.plan import Plan


class Tile(Part):
    """The controller of a tile and the periphery of its groups. Ports of the controller stand as they are, those of group n begin
    with `group_n_`. A group is loaded whenever it can take a window, and begins it while the controller feeds it; that it has
    begun, and that it runs, goes back to the controller. What loads groups, their arrays and ADCs, and what writes cells are not
    in it.
    """

    def __init__(self, steps: TileList, plan: Plan) -> None:
        self.plan, self.controller = plan, TileController(steps)
        self.groups = [Group(plan) for _ in steps.groups]
        self.outside: dict[str, tuple[Part, str]] = {
            name: (self.controller, name)
            for name in self.controller.signature.members
            if name not in ("began", "running")
        }
        for number, group in enumerate(self.groups):
            names = (name for name in group.signature.members if name != "hold")
            self.outside |= {f"group_{number}_{name}": (group, name) for name in names}
        given, made = (
            {
                name: getattr(part, port).shape() for name, (part, port) in self.outside.items()
                if part.signature.members[port].flow.name == flow
            }
            for flow in ("In", "Out")
        )  # fmt: skip
        super().__init__("mho_tile", given, made)

    def elaborate(self, platform: Any) -> Module:
        """Connect the controller with its groups, and both with the outside."""
        m, controller = Module(), self.controller
        self.place(m, "controller", controller)
        for number, group in enumerate(self.groups):
            self.place(m, f"group_{number}", group)
            m.d.comb += [
                group.hold.eq(~controller.feed[number]), controller.began[number].eq(group.window_begins),
                controller.running[number].eq(group.running),
            ]  # fmt: skip
        for name, (part, port) in self.outside.items():
            inner, outer = getattr(part, port), getattr(self, name)
            m.d.comb += inner.eq(outer) if part.signature.members[port].flow.name == "In" else outer.eq(inner)
        return m


def tile_of(program: Program, steps: TileList) -> Part:
    """Return a tile with its groups. Raises OptionError where no one kind of group serves all layers that they take windows of."""
    layers = steps.layers(program)
    if program.quantised is None or not layers:
        raise OptionError("its groups take no windows of a layer with weights, so that nothing says what they are")
    if other := next((each.name for each in layers if combined(program, each, each.name)), None):
        raise OptionError(f"the columns of layer {other!r} are no outputs: a group for it is written with --layer")
    plans = {plan_of(program, each): each.name for each in layers}
    if len(plans) > 1:
        first, second, *_ = plans.values()
        raise OptionError(f"layers {first!r} and {second!r} have other bits, so that a group cannot serve both")
    return Tile(steps, next(iter(plans)))


def verilog_of(part: Part) -> str:
    """Return the Verilog of a part and all that is in it."""
    return "".join(Library(part).texts.values())


__all__ = ["Tile", "tile_of", "verilog_of"]

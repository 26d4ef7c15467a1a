"""A strategy as a file to start from: every stage with its choice and settings, and what they may be beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import yaml

from mho.strategy.choice import Choice, registered
from mho.strategy.stages import ALL_STAGES, STAGES, TABLE_STAGES
from mho.strategy.strategy import Strategy

HEAD = """\
# {name}, begun as strategy {preset} by `mho init strategy`. Use it: mho {command} --strategy {file}
#   Each stage is the name of a choice, or `choice` with its settings (those commented out are of other choices).
#   A stage that is left out is as in strategy default.
"""


def strategy_template(preset: str, name: str, file: str) -> str:
    """Return a strategy's file that is equal to a preset, with comments. OptionError for a preset that there is not."""
    strategy = Strategy.load(preset)
    command = "recommend TRACE" if strategy.table_stages else "run MODEL"
    lines = [HEAD.format(name=name, preset=preset, file=file, command=command).rstrip("\n")]
    lines.append(f"description: {json.dumps(f'Like {preset}, until something is changed.')}")
    for stage in TABLE_STAGES if strategy.table_stages else STAGES:
        lines += ["", *_stage(stage, getattr(strategy, stage))]
    return "\n".join(lines) + "\n"


def _stage(stage: str, chosen: Choice) -> Iterator[str]:
    known = registered(stage)
    yield f"# {ALL_STAGES[stage].help}"
    yield from (f"#   {name}: {kind.summary()}" for name, kind in known.items())
    settings = chosen.settings()
    if not any(kind.settings() for kind in known.values()):
        yield f"{stage}: {chosen.name}"
        return
    yield f"{stage}:"
    yield f"  choice: {chosen.name}"
    for name, (kind, declared) in settings.items():
        yield f"  {name}: {_plain(getattr(chosen, name))}  # {declared.demanded(kind)}"
    others: dict[str, list[str]] = {}
    for other in known.values():
        for name, (kind, declared) in other.settings().items():
            if name not in settings:
                others.setdefault(name, []).append(f"of {other.name}: {declared.demanded(kind)}")
    for name, takers in others.items():
        yield f"  # {name}: ...  # {'; '.join(takers)}"


def _plain(value: object) -> str:
    """Write a value as YAML in one line."""
    plain = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(plain, default_flow_style=True, width=1_000_000).removesuffix("...\n").strip()

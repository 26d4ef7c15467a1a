"""Many cases over several processes, each watched: one that hangs or dies costs its process, and is told."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MOST_CPU_S = 60.0
"""Processor seconds of a case; whatever is asked of the small files here takes one, or ten where kernels are compiled first."""
MOST_WAITING_S = 300.0
"""Seconds by the clock of a case that does not compute: it waits for what will not come. A loaded machine stays far below."""
STARTING_S = 300.0


@dataclass
class Outcome:
    """What the cases did. `broken`: those that broke the law, with what they did."""

    seed: int
    kinds: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    broken: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    cpu_s: dict[int, tuple[float, str]] = field(default_factory=dict)

    def add(self, answer: dict[str, Any]) -> None:
        """Count one case."""
        self.kinds[answer["kind"]] += 1
        self.codes[answer["code"]] += 1
        if answer["wrong"]:
            self.broken.append(answer)

    def text(self) -> str:
        """Say how many of which kind, how they ended, and each that broke the law with the command that replays it."""
        total = sum(self.kinds.values())
        lines = [f"{total} cases, seed {self.seed}, in {self.seconds:.0f} s; {len(self.broken)} broke the law"]
        lines.append("exit codes: " + ", ".join(f"{code}: {count}" for code, count in sorted(self.codes.items())))
        lines.append("kinds: " + ", ".join(f"{kind} {count}" for kind, count in sorted(self.kinds.items())))
        spent: Counter[str] = Counter()
        for cpu, kind in self.cpu_s.values():
            spent[kind] += cpu  # type: ignore[assignment]
        lines.append("seconds: " + ", ".join(f"{kind} {cpu:.1f}" for kind, cpu in spent.most_common()))
        slow = sorted(self.cpu_s.items(), key=lambda each: -each[1][0])[:3]
        lines.append("slowest: " + ", ".join(f"case {number} ({kind}) {cpu:.1f} s" for number, (cpu, kind) in slow))
        for each in sorted(self.broken, key=lambda answer: answer["number"]):
            lines.append(f"\ncase {each['number']} ({each['kind']}), code {each['code']}: {'; '.join(each['wrong'])}")
            lines.append(f"  words:  {shlex.join(each['words'])[:600]}")
            lines += [f"  stderr: {line[:400]}" for line in each["err"].splitlines()[-12:]]
            lines.append(f"  replay: python -m tests.fuzz --seed {self.seed} --only {each['number']}")
        return "\n".join(lines) + "\n"


class Worker:
    """A process that runs cases, and is started anew where it had to be ended."""

    def __init__(self, corpus: Path, place: Path, seed: int, kind: str | None) -> None:
        self.command = [sys.executable, "-m", "tests.fuzz.worker", str(corpus), str(place), str(seed), kind or ""]
        self.process: subprocess.Popen[str] | None = None

    def run(self, number: int) -> tuple[dict[str, Any], float]:
        """Run one case; return its answer and its processor seconds."""
        process = self._started()
        assert process.stdin is not None
        before = self._cpu()
        process.stdin.write(f"{number}\n")
        process.stdin.flush()
        line = self._wait(MOST_CPU_S, MOST_WAITING_S)
        spent = self._cpu() - before
        if line is not None and line.startswith("{"):
            answer: dict[str, Any] = json.loads(line)
            return answer, spent
        code: int | None = None
        if line is None and spent < MOST_CPU_S:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(timeout=10)  # It may be ending just now.
        self.end()
        what = "hung" if code is None else f"ended its process with {code}"
        blank = {"number": number, "kind": "?", "words": [], "code": -1, "err": "", "out": ""}
        return {**blank, "wrong": [what]}, spent

    def _started(self) -> subprocess.Popen[str]:
        if self.process is None or self.process.poll() is not None:
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120", "TERM": "dumb"}
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
            )
            if self._wait(STARTING_S, STARTING_S) != "ready\n":
                self.end()
                raise RuntimeError("the fuzzer's process does not start")
        return self.process

    def _cpu(self) -> float:
        """Return the processor seconds of the process so far."""
        assert self.process is not None
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _wait(self, most_cpu: float, most_waiting: float) -> str | None:
        """Return the next line of the process; None where it computes or waits for too long, or ends."""
        assert self.process is not None and self.process.stdout is not None
        began, cpu = time.monotonic(), self._cpu()
        while True:
            ready, _, _ = select.select([self.process.stdout], [], [], 0.2)
            if ready:
                return self.process.stdout.readline() or None
            if self._cpu() - cpu > most_cpu or time.monotonic() - began > most_waiting:
                return None

    def end(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def run(numbers: Iterable[int], *, seed: int, workers: int = 2, kind: str | None = None, keep: bool = False) -> Outcome:
    """Run cases by their numbers; the same seed and number make the same case, in any process."""
    from tests.fuzz.corpus import write_corpus

    began = time.monotonic()
    place = Path(tempfile.mkdtemp(prefix="mho-fuzz-"))
    write_corpus(place / "corpus")
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    asked = 0
    for number in numbers:
        waiting.put(number)
        asked += 1
    outcome, lock = Outcome(seed), threading.Lock()

    def work(which: int) -> None:
        worker = Worker(place / "corpus", place / str(which), seed, kind)
        try:
            while True:
                try:
                    number = waiting.get_nowait()
                except queue.Empty:
                    return
                answer, cpu = worker.run(number)
                with lock:
                    outcome.add(answer)
                    outcome.cpu_s[number] = cpu, answer["kind"]
        finally:
            worker.end()

    threads = [threading.Thread(target=work, args=(which,)) for which in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if keep:
        sys.stderr.write(f"files: {place}\n")
    else:
        shutil.rmtree(place, ignore_errors=True)
    outcome.seconds = time.monotonic() - began
    if sum(outcome.kinds.values()) < asked:
        raise RuntimeError(f"{asked} cases were asked for, {sum(outcome.kinds.values())} were run")
    return outcome

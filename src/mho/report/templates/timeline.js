// The timeline: groups by what they do, the memory, a row a layer with its writes and computing, the vector unit.

const KIND = { write: 0, compute: 1, vector: 2, load: 3, store: 4 };
const VERB = ["write", "compute", "vector unit", "load", "store"];
const HUE = ["write", "compute", "vector", "memory", "memory"];

class Timeline extends Chart {
  constructor(id, view) {
    super(id, view, 0, 168, 14);
    const bars = data.bars, count = bars.kind.length;
    // A row is a layer that sits in arrays, in the network's order.
    const rows = new Set();
    for (let i = 0; i < count; i++) if (bars.kind[i] <= KIND.compute) rows.add(bars.layer[i]);
    this.rows = [...rows].sort((a, b) => a - b);
    this.left = this.gutter(this.rows.map((layer) => data.names[layer]), 150, 236);
    this.rowOf = new Map(this.rows.map((layer, row) => [layer, row]));
    this.lists = VERB.map(() => []);
    for (let i = 0; i < count; i++) this.lists[bars.kind[i]].push(i);
    const rowsHeight = Math.min(420, Math.max(40, this.rows.length * 20));
    let top = 24;
    this.panels = {};
    for (const [name, height] of [["groups", 120], ["memory", 52], ["transfers", 22], ["layers", rowsHeight], ["vector", 20]]) {
      this.panels[name] = { top, height };
      top += height + 14;
    }
    this.height = top;
  }

  paint(context) {
    this.axis();
    this.area("groups", data.occupancy.groups, data.occupancy.times,
      [["computing", colour.compute], ["writing", colour.write], ["waiting", colour.waiting]].map(([name, fill]) => [data.occupancy[name], fill]));
    this.area("memory", data.memory.bandwidth, data.memory.times, [[data.memory.rate, colour.memory]]);
    this.lane("transfers", [KIND.load, KIND.store]);
    this.lane("vector", [KIND.vector]);
    this.layers();
    const { groups, memory, transfers, layers, vector } = this.panels;
    this.text("groups", 0, groups.top + 6, "left", colour.ink);
    this.text("memory rate", 0, memory.top + 6, "left", colour.ink);
    this.text("loads, stores", 0, transfers.top + transfers.height / 2, "left", colour.ink);
    this.text("vector unit", 0, vector.top + vector.height / 2, "left", colour.ink);
    for (const [panel, most, name] of [[groups, data.occupancy.groups, ""], [memory, data.memory.bandwidth, "B/s"]]) {
      this.text(name ? quantity(most, name) : most.toLocaleString("en"), this.left - 8, panel.top + 6, "right");
      this.text("0", this.left - 8, panel.top + panel.height - 6, "right");
    }
    if (!this.rows.length) this.text("no layer sits in arrays", this.left + 8, layers.top + layers.height / 2, "left");
    if (this.view.low < 0) {
      const zero = Math.round(this.x(0)) + 0.5;
      this.line(zero, 18, zero, this.height - 14, colour.ink);
      if (zero > this.left + 60) this.text("setup", zero - 6, this.height - 8, "right", colour.ink);
      if (zero < this.width - 80) this.text("inference", zero + 6, this.height - 8, "left", colour.ink);
    }
    context.strokeStyle = colour.line;
    for (const panel of Object.values(this.panels)) context.strokeRect(this.left - 0.5, panel.top - 0.5, this.plot + 1, panel.height + 1);
  }

  axis() {
    const { step, found } = ticks(this.view.low, this.view.high, Math.max(2, this.plot / 110));
    for (const value of found) {
      const x = Math.round(this.x(value)) + 0.5;
      this.line(x, 18, x, this.height - 14);
      const words = moment(value, step, Math.max(Math.abs(this.view.low), Math.abs(this.view.high)));
      const half = this.context.measureText(words).width / 2;
      this.text(words, Math.min(x, this.width - half - 1), 9, "center");
    }
  }

  // Steps stacked on each other; between two pixels the highest is drawn.
  area(name, most, times, series) {
    const { top, height } = this.panels[name], context = this.context;
    context.fillStyle = name === "groups" ? colour.free : "#fff";
    context.fillRect(this.left, top, this.plot, height);
    const first = Math.max(0, placeOf(times, this.view.low));
    this.clipped(top, height, () => {
      for (let above = series.length - 1; above >= 0; above--) {
        context.fillStyle = series[above][1];
        context.beginPath();
        const level = (sum) => top + height * (1 - Math.min(1, sum / most));
        let last = this.x(times[first]), peak = 0, now = 0;
        context.moveTo(last, top + height);
        // The highest step of a pixel is drawn as wide as the pixel, the last one until the next step.
        const until = (x) => {
          const after = peak > now ? Math.min(last + 1, x) : last;
          context.lineTo(last, level(peak));
          context.lineTo(after, level(peak));
          context.lineTo(after, level(now));
          context.lineTo(x, level(now));
        };
        for (let i = first; i < times.length && times[i] <= this.view.high; i++) {
          let sum = 0;
          for (let j = 0; j <= above; j++) sum += series[j][0][i];
          const x = this.x(times[i]);
          if (x - last >= 0.3) { until(x); last = x; peak = 0; }
          peak = Math.max(peak, sum);
          now = sum;
        }
        const end = this.x(Math.min(this.view.high, data.latency));
        until(end);
        context.lineTo(end, top + height);
        context.fill();
      }
    });
  }

  // Bars of some kinds along one line; one pixel is drawn once.
  bars(list, top, height, fill) {
    const { start, end } = data.bars, context = this.context;
    context.fillStyle = fill;
    let drawn = -1;
    for (const i of list) {
      if (start[i] > this.view.high) break;
      if (end[i] < this.view.low) continue;
      const x1 = Math.max(this.x(start[i]), this.left - 2), x2 = Math.min(Math.max(this.x(end[i]), x1 + 1), this.left + this.plot + 2);
      if (x2 <= drawn + 0.2) continue;
      context.fillRect(x1, top, x2 - x1, height);
      // A gap between neighbours where there is room for one, so that two writes do not look like one.
      if (x2 - x1 > 4) { context.fillStyle = "rgba(255,255,255,.7)"; context.fillRect(x2 - 1, top, 1, height); context.fillStyle = fill; }
      drawn = x2;
    }
  }

  lane(name, kinds) {
    const { top, height } = this.panels[name], each = height / kinds.length;
    this.clipped(top, height, () => kinds.forEach((kind, i) => this.bars(this.lists[kind], top + i * each + 1, each - 2, colour[HUE[kind]])));
  }

  // The rows of layers that do something in the view.
  layers() {
    const { top, height } = this.panels.layers, { start, end, layer } = data.bars, context = this.context;
    const lists = new Map();
    for (const kind of [KIND.write, KIND.compute]) for (const i of this.lists[kind]) {
      if (start[i] > this.view.high) break;
      if (end[i] < this.view.low) continue;
      const row = this.rowOf.get(layer[i]);
      if (!lists.has(row)) lists.set(row, [[], []]);
      lists.get(row)[kind].push(i);
    }
    this.shown = [...lists.keys()].sort((a, b) => a - b);
    const each = Math.min(24, height / Math.max(this.shown.length, 1));
    this.each = each;
    const every = Math.max(1, Math.ceil(13 / each));
    this.shown.forEach((row, place) => {
      const y = top + place * each;
      if (place % every === 0) {
        this.text(fitted(context, data.names[this.rows[row]], this.left - 12), this.left - 8, y + Math.max(each, 12) / 2, "right");
        if (each > 8) { context.fillStyle = "#f3f5f8"; context.fillRect(this.left, y + each - 0.5, this.plot, 0.5); }
      }
    });
    this.clipped(top, height, () => this.shown.forEach((row, place) => {
      const y = top + place * each, inner = each > 6 ? 1 : 0, half = Math.max((each - inner) / 2, 0.7);
      this.bars(lists.get(row)[0], y + inner, half, colour.write);
      this.bars(lists.get(row)[1], y + inner / 2 + half, half, colour.compute);
    }));
  }

  hover(x, y) {
    const inside = Object.entries(this.panels).find(([, { top, height }]) => y >= top && y <= top + height);
    const time = this.at(x), resolution = (this.view.high - this.view.low) / this.plot;
    const now = moment(time, resolution, Math.max(Math.abs(this.view.low), Math.abs(this.view.high)));
    if (!inside) return now;
    const [name, { top }] = inside;
    if (name === "groups") {
      const place = placeOf(data.occupancy.times, time);
      if (place < 0) return now + "\nsetup";
      const of = (key) => Math.round(data.occupancy[key][place]);
      const free = data.occupancy.groups - of("computing") - of("writing") - of("waiting");
      return `${now}\n${of("computing")} groups computing\n${of("writing")} writing\n${of("waiting")} waiting\n${free} free`;
    }
    if (name === "memory") {
      const rate = data.memory.rate[Math.max(0, placeOf(data.memory.times, time))];
      return `${now}\n${quantity(rate, "B/s")} of ${quantity(data.memory.bandwidth, "B/s")}`;
    }
    let kinds = name === "vector" ? [KIND.vector] : [KIND.load, KIND.store], layer = null;
    if (name === "layers") {
      const row = this.shown && this.shown[Math.floor((y - top) / this.each)];
      if (row === undefined) return now;
      layer = this.rows[row];
      kinds = [KIND.write, KIND.compute];
    }
    return this.about(now, time, resolution * 2, kinds, layer);
  }

  // What a single instruction works on; see page.py for the numbers.
  detail(numbers) {
    const run = (first, last) => first === last - 1 ? `${first}` : `${first}..${last - 1}`;
    if (!numbers.length) return "";
    if (numbers.length === 1) return `, ${quantity(numbers[0], "B")}`;
    const [first, last, copy, from, until] = numbers;
    return `\n   blocks ${run(first, last)}, copy ${copy}` + (until === undefined ? "" : `, windows ${run(from, until)}`);
  }

  about(now, time, slack, kinds, layer) {
    const bars = data.bars, lines = [now];
    if (layer !== null) lines.push(data.names[layer]);
    for (const kind of kinds) {
      const hits = this.lists[kind].filter((i) => bars.start[i] - slack <= time && bars.end[i] + slack >= time && (layer === null || bars.layer[i] === layer));
      for (const i of hits.slice(0, 4)) {
        const name = layer !== null ? "" : bars.layer[i] < 0 ? " several layers" : " " + data.names[bars.layer[i]];
        const times = bars.count[i] > 1 ? ` × ${bars.count[i]}` : "", length = bars.end[i] - bars.start[i];
        const exact = Math.max(length / 1000, 1e-12);
        const whole = Math.max(Math.abs(bars.start[i]), Math.abs(bars.end[i]), exact);
        lines.push(`${VERB[kind]}${name}${times}: ${quantity(length, "s")}, from ${moment(bars.start[i], exact, whole)}`
          + (bars.groups[i] ? `, ${bars.groups[i].toLocaleString("en")} groups` : "") + this.detail(bars.detail[i]));
      }
      if (hits.length > 4) lines.push(`… and ${hits.length - 4} more`);
    }
    return lines.join("\n");
  }
}

const time = new View(0, data.latency, -data.setup, data.latency, Math.max(data.latency * 1e-7, 1e-12));
const timeline = new Timeline("timeline", time);
time.buttons("timeline-tools", data.setup > 0 ? [["with setup", "show the setup as well", () => time.set(-data.setup, data.latency)]] : []);
timeline.draw();

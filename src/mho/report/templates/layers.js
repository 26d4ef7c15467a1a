// Energy and time by layer, zoomed together, and the table of layers.

class LayerBars extends Chart {
  // `up` and `down` are series of [values, colour, name], stacked from the middle line.
  constructor(id, view, unit, up, down) {
    super(id, view, 0, 76, 14);
    Object.assign(this, { unit, up, down, foot: this.gutter(data.layers.name, 60, 200) });
    this.height = (down.length ? 215 : 180) + this.foot;
  }
  sum(series, i) { return series.reduce((sum, [values]) => sum + values[i], 0); }
  paint(context) {
    const names = data.layers.name, top = 10, bottom = this.height - this.foot;
    const first = Math.max(0, Math.floor(this.view.low)), last = Math.min(names.length, Math.ceil(this.view.high));
    let high = 0, low = 0;
    for (let i = first; i < last; i++) { high = Math.max(high, this.sum(this.up, i)); low = Math.max(low, this.sum(this.down, i)); }
    if (high + low === 0) high = 1;
    const scale = (bottom - top) / (high + low), zero = top + high * scale;
    const { found } = ticks(-low, high, 6);
    const [factor, letter] = prefix(Math.max(high, low));
    for (const value of found) {
      const y = Math.round(zero - value * scale) + 0.5;
      this.line(this.left, y, this.left + this.plot, y, Math.abs(value) < high * 1e-9 ? colour.soft : colour.line);
      this.text(`${Number((Math.abs(value) / factor).toPrecision(3))} ${value === 0 ? "" : letter + this.unit}`.trim(), this.left - 8, y, "right");
    }
    const pitch = this.plot / (this.view.high - this.view.low), gap = pitch > 5 ? Math.min(4, pitch * 0.2) : 0;
    this.clipped(top, bottom - top, () => {
      // Narrower than a pixel, the highest of the layers that share it is drawn.
      const each = Math.max(1, Math.floor(1 / pitch));
      for (let i = first; i < last; i += each) {
        for (const [series, sign] of [[this.up, -1], [this.down, 1]]) {
          let best = i;
          for (let j = i; j < Math.min(i + each, last); j++) if (this.sum(series, j) > this.sum(series, best)) best = j;
          let y = zero;
          for (const [values, fill] of series) {
            const height = values[best] * scale;
            context.fillStyle = fill;
            context.fillRect(this.x(i) + gap / 2, sign < 0 ? y - height : y, Math.max(pitch * each - gap, 1), height);
            y += sign * height;
          }
        }
      }
    });
    const every = Math.max(1, Math.ceil(13 / pitch));
    context.textAlign = "right";
    for (let i = Math.ceil(first / every) * every; i < last; i += every) {
      const x = this.x(i + 0.5);
      if (x < this.left || x > this.left + this.plot) continue;
      context.save();
      context.translate(x, bottom + 6);
      context.rotate(-Math.PI / 2);
      this.text(fitted(context, names[i], this.foot - 10), 0, 0, "right");
      context.restore();
    }
  }
  hover(x) {
    const i = Math.floor(this.at(x));
    if (i < 0 || i >= data.layers.name.length) return "";
    const lines = [data.layers.name[i]];
    for (const [values, , name] of [...this.up, ...this.down]) lines.push(`${name} ${quantity(values[i], this.unit)}`);
    if (this.up.length > 1) lines.push(`in all ${quantity(this.sum(this.up, i), this.unit)}`);
    return lines.join("\n");
  }
}

const count = data.layers.name.length;
const order = new View(0, count, 0, count, Math.min(count, 4));
const joules = data.kinds.map((kind, place) => [data.layers.energy.map((each) => each[place]), colour[kind], kind]);
const energyChart = new LayerBars("energy-by-layer", order, "J", joules, []);
// Where all weights are written in the setup, no layer writes, and there is nothing to draw downwards.
const writing = data.layers.write.some((seconds) => seconds > 0) ? [[data.layers.write, colour.write, "writing"]] : [];
const timeChart = new LayerBars("time-by-layer", order, "s", [[data.layers.compute, colour.compute, "computing"]], writing);
order.buttons("layers-tools", []);
energyChart.draw();
timeChart.draw();

const table = document.getElementById("layers"), body = table.tBodies[0];
const lines = [...body.rows].map((row, i) => ({ row, record: [row.cells[0].textContent, row.cells[1].textContent, ...data.table[i]], place: i }));
// The columns of the table as places in a record: a stretch of time sorts by its start, a share as the energy.
const KEYS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11];
[...table.tHead.rows[0].cells].forEach((cell, column) => cell.firstElementChild.addEventListener("click", () => {
  const now = cell.getAttribute("aria-sort"), words = column < 2;
  const next = now === null ? (words ? "ascending" : "descending") : now === "ascending" ? "descending" : "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  cell.setAttribute("aria-sort", next);
  const sign = next === "ascending" ? 1 : -1, key = KEYS[column];
  lines.sort((a, b) => {
    const [left, right] = [a.record[key], b.record[key]];
    if (left === right) return a.place - b.place;
    if (left === null || right === null) return left === null ? 1 : -1;
    return sign * (left < right ? -1 : 1);
  });
  body.append(...lines.map((line) => line.row));
}));
document.getElementById("filter").addEventListener("input", (event) => {
  const wanted = event.target.value.toLowerCase();
  for (const { row, record } of lines) row.hidden = !`${record[0]} ${record[1]}`.toLowerCase().includes(wanted);
});

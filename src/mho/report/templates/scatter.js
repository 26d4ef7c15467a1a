// Designs over two figures: the front large and joined, limits as lines, what breaks one as a cross.

class Scatter extends DesignChart {
  constructor() {
    super("scatter", 460, 84, 26, "Designs over two figures; arrows go along the front");
    this.top = 36;
    this.bottom = this.height - 52;
    this.px = new Float32Array(number.length);
    this.py = new Float32Array(number.length);
  }

  base(context) {
    const across = shown.figure("across"), up = shown.figure("up");
    const seen = shown.near && shown.front.length ? shown.front : shown.places;
    const scale = (figure) => new Scale(seen.map((i) => figure.values[i]), figure,
      [...this.bounds(figure).map((limit) => limit.value), this.stands(figure)].filter((value) => value !== null));
    this.x2 = scale(across);
    this.y2 = scale(up);
    this.px.fill(NaN);
    if (this.x2.empty || this.y2.empty) {
      this.text("no design has these figures", this.left + this.plot / 2, (this.top + this.bottom) / 2, "center");
      return;
    }
    this.grid(across, up);
    for (const i of shown.places) {
      if (across.values[i] === null || up.values[i] === null) continue;
      this.px[i] = this.left + this.plot * this.x2.place(across.values[i]);
      this.py[i] = this.bottom - (this.bottom - this.top) * this.y2.place(up.values[i]);
      const inside = this.px[i] >= this.left - 1 && this.px[i] <= this.left + this.plot + 1 && this.py[i] >= this.top - 1 && this.py[i] <= this.bottom + 1;
      if (!inside) this.px[i] = NaN;
    }
    this.clipped(this.top - 6, this.bottom - this.top + 12, () => { this.others(context); this.stairs(context, across, up); this.front(context); this.diamond(context, across, up); });
    [[across, true], [up, false]].forEach(([figure, lies]) => this.bounds(figure).forEach((limit, line) => this.limit(limit, lies, line)));
  }

  stands(figure) { return base && figure !== ORDER ? base[figures.indexOf(figure)] : null; }

  bounds(figure) { return limits.filter((limit) => figures[limit.figure] === figure); }

  grid(across, up) {
    let end = -Infinity;
    for (const value of this.x2.ticks(Math.max(2, this.plot / 90))) {
      const x = Math.round(this.left + this.plot * this.x2.place(value)) + 0.5, words = brief(value, across);
      const half = this.context.measureText(words).width / 2;
      this.line(x, this.top, x, this.bottom);
      if (x - half < end + 8 || x + half > this.width) continue;
      this.text(words, x, this.bottom + 14, "center");
      end = x + half;
    }
    for (const value of this.y2.ticks(7)) {
      const y = Math.round(this.bottom - (this.bottom - this.top) * this.y2.place(value)) + 0.5;
      this.line(this.left, y, this.left + this.plot, y);
      this.text(brief(value, up), this.left - 8, y, "right");
    }
    const title = (figure, scale) => figure === ORDER ? figure.name
      : `${figure.name}, ${figure.more ? "more" : "less"} is better${scale.log ? " (logarithmic)" : ""}`;
    this.text(title(across, this.x2), this.left + this.plot / 2, this.bottom + 38, "center", colour.ink);
    this.text(title(up, this.y2), 4, 14, "left", colour.ink);
  }

  // All but the front: dots, and crosses where a limit is broken; the best classes are drawn last.
  others(context) {
    const { fills, of } = shown.colours, many = shown.places.length, size = many > 4000 ? 1.6 : many > 800 ? 2.2 : 3;
    const classes = fills.map(() => [[], []]);
    for (const i of shown.places) if (rank[i] !== FRONT && !Number.isNaN(this.px[i])) classes[of[i]][breaks[i] ? 1 : 0].push(i);
    context.globalAlpha = 0.8;
    for (let each = fills.length - 1; each >= 0; each--) {
      const [dots, crosses] = classes[each];
      context.fillStyle = context.strokeStyle = fills[each];
      context.beginPath();
      for (const i of dots) { context.moveTo(this.px[i] + size, this.py[i]); context.arc(this.px[i], this.py[i], size, 0, 2 * Math.PI); }
      context.fill();
      context.beginPath();
      for (const i of crosses) {
        const [x, y] = [this.px[i], this.py[i]];
        context.moveTo(x - size, y - size); context.lineTo(x + size, y + size);
        context.moveTo(x - size, y + size); context.lineTo(x + size, y - size);
      }
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  // Stairs between what some design beats in both figures, and what none does.
  stairs(context, across, up) {
    if (across === up) return;
    const sign = (figure) => figure.more ? -1 : 1, seen = shown.front.filter((i) => !Number.isNaN(this.px[i]));
    const x = (i) => sign(across) * across.values[i], y = (i) => sign(up) * up.values[i];
    seen.sort((a, b) => x(a) - x(b) || y(a) - y(b));
    context.strokeStyle = colour.soft;
    context.lineWidth = 1.4;
    context.beginPath();
    let last = -1;
    for (const i of seen) {
      if (last >= 0 && y(i) >= y(last)) continue;
      if (last < 0) context.moveTo(this.px[i], this.py[i]);
      else { context.lineTo(this.px[i], this.py[last]); context.lineTo(this.px[i], this.py[i]); }
      last = i;
    }
    context.stroke();
    context.lineWidth = 1;
  }

  front(context) {
    const { fills, of } = shown.colours, size = shown.front.length > 300 ? 3.5 : 5;
    for (const i of shown.front) if (!Number.isNaN(this.px[i])) this.dot(context, i, size, fills[of[i]]);
  }

  // Chip and strategy as they stand, where that lies within the axes.
  diamond(context, across, up) {
    const a = this.stands(across), b = this.stands(up);
    if (a === null || b === null) return;
    const x = this.left + this.plot * this.x2.place(a), y = this.bottom - (this.bottom - this.top) * this.y2.place(b);
    if (!Number.isFinite(x + y)) return;
    context.beginPath();
    context.moveTo(x, y - 7); context.lineTo(x + 7, y); context.lineTo(x, y + 7); context.lineTo(x - 7, y); context.lineTo(x, y - 7);
    context.fillStyle = "#fff";
    context.fill();
    context.strokeStyle = colour.ink;
    context.lineWidth = 1.6;
    context.stroke();
    context.lineWidth = 1;
  }

  dot(context, i, size, fill) {
    context.beginPath();
    context.arc(this.px[i], this.py[i], size, 0, 2 * Math.PI);
    context.fillStyle = fill;
    context.fill();
    context.strokeStyle = colour.ink;
    context.stroke();
  }

  // A limit as a line with its words, or the words at the edge that it lies beyond.
  limit({ value, words }, lies, line) {
    const scale = lies ? this.x2 : this.y2, beyond = value > scale.high ? 1 : value < scale.low ? -1 : 0, context = this.context;
    const share = beyond > 0 ? 1 : beyond < 0 ? 0 : scale.place(value);
    const x = this.left + this.plot * share, y = this.bottom - (this.bottom - this.top) * share;
    if (!beyond) {
      context.setLineDash([5, 4]);
      if (lies) this.line(x, this.top, x, this.bottom, colour.soft); else this.line(this.left, y, this.left + this.plot, y, colour.soft);
      context.setLineDash([]);
    }
    const arrow = beyond ? (lies ? (beyond > 0 ? " →" : " ←") : (beyond > 0 ? " ↑" : " ↓")) : "", told = words + arrow;
    const width = context.measureText(told).width, right = x + 6 + width > this.left + this.plot;
    if (lies) this.words(told, right ? x - 6 : x + 6, this.top + 9 + 17 * line, right ? "right" : "left", colour.ink);
    else {
      // Below the words of limits across.
      const highest = this.top + 8 + 17 * this.bounds(shown.figure("across")).length;
      this.words(told, this.left + this.plot - 6, y - 9 > highest ? y - 9 : Math.max(y + 10, highest), "right", colour.ink);
    }
  }

  nearest(x, y) {
    let best = -1, least = 14 * 14;
    for (const i of shown.places) {
      const away = ((this.px[i] - x) ** 2 + (this.py[i] - y) ** 2) * (rank[i] === FRONT ? 0.4 : 1);
      if (away < least) { least = away; best = i; }
    }
    return best;
  }

  spot(i) { return Number.isNaN(this.px[i]) ? [this.left, this.top] : [this.px[i], this.py[i]]; }

  mark(context, i) {
    if (Number.isNaN(this.px[i])) return;
    context.beginPath();
    context.arc(this.px[i], this.py[i], 9, 0, 2 * Math.PI);
    context.strokeStyle = "#fff";
    context.lineWidth = 5;
    context.stroke();
    context.strokeStyle = colour.ink;
    context.lineWidth = 2;
    context.stroke();
    context.lineWidth = 1;
    this.dot(context, i, 5, shown.colours.fills[shown.colours.of[i]]);
  }
}

const scatter = new Scatter();
for (const side of ["across", "up"]) {
  const select = document.getElementById(side);
  select.value = String(shown[side]);
  select.addEventListener("change", () => shown.change({ [side]: Number(select.value) }));
}
document.getElementById("colour").addEventListener("change", (event) => shown.change({ by: Number(event.target.value) }));
for (const name of ["hide", "near"]) {
  const box = document.getElementById(name);
  if (box) box.addEventListener("change", () => shown.change({ [name]: box.checked }));
}

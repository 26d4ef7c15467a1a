// Designs: numbers as they are told, axes, what of the designs is shown, in which colours, and which one is pointed at.

const { figures, axes, limits, number, rank, breaks, measured, base } = data;
const ORDER = { name: "order of trying", unit: "", prefixed: false, none: "", values: number };
const GREY = "#8a8f98", FRONT = 1;
// From this ratio on an axis is logarithmic.
const SPAN = 8;
// Ranks told apart by colour: 1, 2, 3 and 4, 5 to 8, 9 to 16, more.
const RANKS = ["1, the front", "2", "3 to 4", "5 to 8", "9 to 16", "17 or more", "breaks a limit"];

// Three digits, thousands parted.
function digits(value) {
  const rounded = Number(value.toPrecision(3)), whole = rounded ? Math.floor(Math.log10(Math.abs(rounded))) + 1 : 1;
  const places = Math.max(3 - whole, 0);
  return rounded.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });
}

function pure(value) {
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 10000) return value.toLocaleString("en");
  if (size >= 1e-4 && size < 9999.5) return digits(value);
  return size >= 1 ? quantity(value, "") : value.toExponential(2);
}

// A value of a figure, with its unit: what Python writes of the same.
function amount(value, { unit, prefixed, none }) {
  if (value === null || value === undefined) return none;
  if (!prefixed) return `${pure(value)} ${unit}`.trim();
  if (unit !== "m²" || value === 0) return quantity(value, unit);
  const size = Math.abs(value), [factor, letter] = size >= 1 ? [1, ""] : size >= 1e-9 ? [1e-6, "m"] : [1e-12, "µ"];
  return `${digits(value / factor)} ${letter}m²`;
}

// The same without zeros that say nothing: 2 ms and not 2.00 ms.
function brief(value, figure) { return amount(value, figure).replace(/(\.\d*?)0+(?=\D|$)/, "$1").replace(/\.(?=\D|$)/, ""); }

// Where values stand from 0 to 1: on logarithms where they span, with room for limits that widen it by at most half.
class Scale {
  constructor(values, figure, bounds) {
    const known = values.filter((value) => value !== null && value !== undefined);
    let low = known.reduce((a, b) => Math.min(a, b), Infinity), high = known.reduce((a, b) => Math.max(a, b), -Infinity);
    this.empty = known.length === 0;
    this.figure = figure;
    this.log = figure !== ORDER && low > 0 && high >= SPAN * low;
    const length = (from, to) => this.log ? Math.log(to / from) : to - from;
    for (const bound of bounds) {
      const [from, to] = [Math.min(low, bound), Math.max(high, bound)];
      if ((!this.log || from > 0) && length(from, to) <= 1.5 * length(low, high)) [low, high] = [from, to];
    }
    if (this.log) {
      const margin = Math.pow(high / low, 0.04);
      [low, high] = [low / margin, high * margin];
    } else {
      const margin = 0.04 * (high - low) || 0.1 * Math.abs(high) || 1;
      [low, high] = [low >= 0 ? Math.max(low - margin, 0) : low - margin, high + margin];
    }
    Object.assign(this, { low, high });
  }
  place(value) {
    return this.log ? Math.log(value / this.low) / Math.log(this.high / this.low) : (value - this.low) / (this.high - this.low);
  }
  ticks(most) {
    if (!this.log) return ticks(this.low, this.high, most).found;
    const powers = [];
    for (let power = Math.floor(Math.log10(this.low)); power <= Math.ceil(Math.log10(this.high)); power++) powers.push(Math.pow(10, power));
    const within = (value) => value >= this.low && value <= this.high;
    const fine = powers.flatMap((power) => [power, 2 * power, 5 * power]).filter(within);
    if (fine.length <= most) return fine;
    const coarse = powers.filter(within);
    return coarse.length < 2 ? fine.filter((_, i) => i % 2 === 0) : coarse.filter((_, i) => i % Math.ceil(coarse.length / most) === 0);
  }
}

// How designs are coloured: the class of each, and the colour and words of each class; the first classes are drawn last.
function colouring(by) {
  const scale = (share) => data.scale[Math.round((data.scale.length - 1) * share)];
  if (by < 0) {
    const fills = RANKS.map((_, i) => i === 6 ? GREY : scale(1 - 0.86 * i / 5));
    return { name: "Pareto rank", fills, words: RANKS, of: rank.map((r) => r === 0 ? 6 : Math.min(5, Math.ceil(Math.log2(r)))) };
  }
  const { key, values, words, at } = axes[by], last = values.length - 1;
  const fills = values.map((_, i) => words ? data.distinct[i] || GREY : scale(0.14 + 0.86 * i / Math.max(last, 1)));
  return { name: key, fills: [...fills, GREY], words: [...values, "none"], of: at.map((i) => i < 0 ? last + 1 : i) };
}

// Everything that is known of a design.
function about(place) {
  const broken = [...new Set(limits.filter((limit) => breaks[place] >> limit.bit & 1).map((limit) => limit.words))];
  const state = broken.length ? `breaks ${broken.join(", ")}` : rank[place] === FRONT ? "on the front" : `Pareto rank ${rank[place]}`;
  const again = measured[number[place]];
  return [
    `design ${number[place]}: ${state}`,
    ...figures.map((figure, i) => `${figure.name} ${amount(figure.values[place], figure)}${again ? `, measured ${amount(again[i], figure)}` : ""}`),
    ...axes.map(({ key, values, at }) => `${key} ${at[place] < 0 ? "–" : values[at[place]]}`),
  ].join("\n");
}

// What is shown, and what is pointed at; every chart follows.
class Shown {
  constructor() {
    Object.assign(this, { charts: [], across: 0, up: figures.length > 1 ? 1 : 0, by: -1, hide: false, near: false, at: -1, version: 0, asked: 0 });
    if (figures.length === 1) this.across = -1;
    this.follow = () => {};
    this.change({});
  }
  figure(side) { return this[side] < 0 ? ORDER : figures[this[side]]; }
  change(settings) {
    Object.assign(this, settings);
    this.places = number.map((_, i) => i).filter((i) => !(this.hide && breaks[i]));
    this.colours = colouring(this.by);
    const along = this.figure("across").values;
    this.front = this.places.filter((i) => rank[i] === FRONT).sort((a, b) => along[a] - along[b] || a - b);
    if (this.hide && this.at >= 0 && breaks[this.at]) this.at = -1;
    this.version++;
    this.key();
    this.draw();
  }
  point(place) {
    if (place === this.at) return;
    this.at = place;
    this.follow(place, false);
    this.draw();
  }
  draw() {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => { this.asked = 0; this.charts.forEach((chart) => chart.draw()); });
  }
  // The colours that occur, with their words.
  key() {
    const { name, fills, words, of } = this.colours, used = new Set(this.places.map((i) => of[i]));
    const box = document.getElementById("key");
    box.textContent = `${name}:`;
    fills.forEach((fill, i) => {
      if (!used.has(i)) return;
      const patch = document.createElement("i");
      patch.style.background = fill;
      box.append(" ", patch, words[i]);
    });
  }
}

const shown = new Shown();

// A chart of designs: what does not follow the pointer is drawn once and kept.
class DesignChart extends Chart {
  constructor(id, height, left, right, words) {
    super(id, shown, height, left, right);
    this.kept = document.createElement("canvas");
    this.drawn = "";
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", words);
  }
  paint(context) {
    const state = `${shown.version} ${this.canvas.width} ${this.canvas.height}`;
    if (state !== this.drawn) {
      this.base(context);
      Object.assign(this.kept, { width: this.canvas.width, height: this.canvas.height });
      this.kept.getContext("2d").drawImage(this.canvas, 0, 0);
      this.drawn = state;
    } else {
      context.save();
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.drawImage(this.kept, 0, 0);
      context.restore();
    }
    if (shown.at >= 0) this.mark(context, shown.at);
  }
  // Words with the ground around them, so that lines below do not cross them.
  words(words, x, y, align, fill) {
    const context = this.context;
    context.textAlign = align;
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.strokeStyle = "#fff";
    context.lineWidth = 4;
    context.strokeText(words, x, y);
    context.lineWidth = 1;
    this.text(words, x, y, align, fill);
  }
  listen() {
    const canvas = this.canvas;
    canvas.addEventListener("pointermove", (event) => {
      const place = this.nearest(event.offsetX, event.offsetY);
      shown.point(place);
      showTip(event, place < 0 ? "" : about(place));
    });
    canvas.addEventListener("pointerleave", (event) => { shown.point(-1); showTip(event, ""); });
    canvas.addEventListener("blur", (event) => { shown.point(-1); showTip(event, ""); });
    canvas.addEventListener("click", () => { if (shown.at >= 0) shown.follow(shown.at, true); });
    canvas.addEventListener("keydown", (event) => this.press(event));
  }
  press(event) {
    const front = shown.front, now = front.indexOf(shown.at), last = front.length - 1;
    if (event.key === "Escape") { shown.point(-1); showTip(event, ""); return; }
    if (event.key === "Enter" && shown.at >= 0) { shown.follow(shown.at, true); return; }
    const next = { ArrowRight: Math.min(now + 1, last), ArrowLeft: now < 0 ? last : Math.max(now - 1, 0), Home: 0, End: last }[event.key];
    if (next === undefined || last < 0) return;
    event.preventDefault();
    shown.point(front[next]);
    const box = this.canvas.getBoundingClientRect(), [x, y] = this.spot(front[next]);
    showTip({ clientX: box.left + x, clientY: box.top + y }, about(front[next]));
  }
}

"use strict";
// Shared by the charts: data, numbers with units, axes, a canvas that follows its box, zooming, the hover box.

const data = JSON.parse(document.getElementById("data").textContent);
const css = getComputedStyle(document.documentElement);
const colour = Object.fromEntries(
  ["compute", "write", "static", "memory", "waiting", "free", "vector", "ink", "soft", "line"]
    .map((name) => [name, css.getPropertyValue("--" + name).trim()]));
const FONT = '12px system-ui, "Segoe UI", "Liberation Sans", sans-serif';
const PREFIXES = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"], [1e-12, "p"], [1e-15, "f"]];

function prefix(value) {
  const size = Math.abs(value) * 1.0000001;
  return PREFIXES.find(([factor]) => size >= factor) || (size > 0 ? PREFIXES[PREFIXES.length - 1] : [1, ""]);
}

function quantity(value, unit) {
  if (value === 0) return "0 " + unit;
  const [factor, letter] = prefix(Number(value.toPrecision(3)));
  const scaled = Number((value / factor).toPrecision(3));
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(scaled))));
  return (scaled.toFixed(digits) + " " + letter + unit).trim();
}

// A time with as many digits as tell `resolution` apart.
function moment(value, resolution, whole) {
  const [factor, letter] = prefix(whole);
  const digits = Math.min(9, Math.max(0, Math.ceil(-Math.log10(resolution / factor) - 1e-9)));
  const text = (value / factor).toFixed(digits);
  return (Number(text) === 0 ? (0).toFixed(digits) : text) + " " + letter + "s";
}

// Round steps (1, 2, 5 times a power of ten) between low and high, at most `most` of them.
function ticks(low, high, most) {
  const raw = (high - low) / Math.max(most, 1);
  const power = Math.pow(10, Math.floor(Math.log10(raw)));
  const step = [1, 2, 5, 10].find((each) => each * power >= raw * 0.999999) * power;
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
  return { step, found };
}

// The last place in a sorted list whose value is not above `value`, or -1.
function placeOf(sorted, value) {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle + 1; else high = middle;
  }
  return low - 1;
}

// A name cut to a width, keeping its end, which tells layers apart.
function fitted(context, name, width) {
  if (context.measureText(name).width <= width) return name;
  let low = 0, high = name.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (context.measureText("…" + name.slice(middle)).width <= width) high = middle; else low = middle + 1;
  }
  return "…" + name.slice(low);
}

const tip = document.getElementById("tip");

function showTip(event, text) {
  if (!text) { tip.hidden = true; return; }
  tip.textContent = text;
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const left = event.clientX + 16 + box.width > innerWidth ? event.clientX - box.width - 12 : event.clientX + 16;
  const top = event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 10 : event.clientY + 18;
  tip.style.left = Math.max(4, left) + scrollX + "px";
  tip.style.top = Math.max(4, top) + scrollY + "px";
}

// A stretch [low, high] of [least, most], zoomed by the wheel and moved by dragging in every chart that shows it.
class View {
  constructor(low, high, least, most, finest) {
    Object.assign(this, { low, high, least, most, finest, home: [low, high], charts: [] });
  }
  set(low, high) {
    const width = Math.min(Math.max(high - low, this.finest), this.most - this.least);
    this.low = Math.min(Math.max(low, this.least), this.most - width);
    this.high = this.low + width;
    this.draw();
  }
  zoom(factor, at) { this.set(at - (at - this.low) * factor, at + (this.high - at) * factor); }
  move(part) { const by = (this.high - this.low) * part; this.set(this.low + by, this.high + by); }
  reset() { this.set(...this.home); }
  draw() {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => { this.asked = 0; this.charts.forEach((chart) => chart.draw()); });
  }
  buttons(place, more) {
    const middle = () => (this.low + this.high) / 2;
    const actions = [["−", "zoom out", () => this.zoom(2, middle())], ["+", "zoom in", () => this.zoom(0.5, middle())],
      ["←", "earlier", () => this.move(-0.25)], ["→", "later", () => this.move(0.25)], ["all", "show all", () => this.reset()], ...more];
    for (const [label, title, action] of actions) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = label;
      button.title = title;
      button.addEventListener("click", action);
      document.getElementById(place).append(button);
    }
  }
}

// A canvas in the element `id` that shows a view between the margins `left` and `right`.
class Chart {
  constructor(id, view, height, left, right) {
    Object.assign(this, { view, height, left, right });
    this.box = document.getElementById(id);
    this.canvas = document.createElement("canvas");
    this.cursor = document.createElement("div");
    this.cursor.className = "cursor";
    this.cursor.hidden = true;
    this.box.append(this.canvas, this.cursor);
    this.context = this.canvas.getContext("2d");
    view.charts.push(this);
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.box);
  }
  get plot() { return this.width - this.left - this.right; }
  x(value) { return this.left + (value - this.view.low) / (this.view.high - this.view.low) * this.plot; }
  at(x) { return this.view.low + (x - this.left) / this.plot * (this.view.high - this.view.low); }
  draw() {
    const ratio = devicePixelRatio || 1;
    this.width = this.box.clientWidth;
    if (this.width < this.left + this.right + 20) return;
    const [width, height] = [Math.round(this.width * ratio), Math.round(this.height * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      Object.assign(this.canvas, { width, height });
      this.canvas.style.height = this.height + "px";
    }
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.clearRect(0, 0, this.width, this.height);
    this.context.font = FONT;
    this.context.lineWidth = 1;
    this.paint(this.context);
  }
  // Room for the longest of some names, between two widths.
  gutter(names, least, most) {
    this.context.font = FONT;
    return names.reduce((width, name) => Math.min(most, Math.max(width, Math.ceil(this.context.measureText(name).width) + 16)), least);
  }
  text(words, x, y, align, fill) {
    this.context.textAlign = align;
    this.context.textBaseline = "middle";
    this.context.fillStyle = fill || colour.soft;
    this.context.fillText(words, x, y);
  }
  line(x1, y1, x2, y2, stroke) {
    this.context.strokeStyle = stroke || colour.line;
    this.context.beginPath();
    this.context.moveTo(x1, y1);
    this.context.lineTo(x2, y2);
    this.context.stroke();
  }
  clipped(top, height, action) {
    this.context.save();
    this.context.beginPath();
    this.context.rect(this.left, top, this.plot, height);
    this.context.clip();
    action();
    this.context.restore();
  }
  listen() {
    const canvas = this.canvas;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const amount = (event.deltaMode === 1 ? 30 : 1) * event.deltaY;
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.view.move(event.deltaX / this.plot);
      else this.view.zoom(Math.exp(Math.max(-300, Math.min(300, amount)) * 0.002), this.at(event.offsetX));
    }, { passive: false });
    let from = null;
    canvas.addEventListener("pointerdown", (event) => {
      from = { x: event.offsetX, low: this.view.low, high: this.view.high };
      canvas.setPointerCapture(event.pointerId);
      showTip(event, "");
    });
    canvas.addEventListener("pointermove", (event) => {
      if (from) {
        const by = (from.x - event.offsetX) / this.plot * (from.high - from.low);
        this.view.set(from.low + by, from.high + by);
        return;
      }
      const inside = event.offsetX >= this.left && event.offsetX <= this.width - this.right;
      this.cursor.hidden = !inside;
      this.cursor.style.left = event.offsetX + "px";
      showTip(event, inside ? this.hover(event.offsetX, event.offsetY) : "");
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { from = null; });
    canvas.addEventListener("pointerleave", (event) => { this.cursor.hidden = true; showTip(event, ""); });
    canvas.addEventListener("dblclick", () => this.view.reset());
  }
}

// Parameters and figures of each design as a line over parallel axes.

class Parallel extends DesignChart {
  constructor() {
    super("parallel", 420, 56, 84, "Parameters and figures of each design, a line a design; arrows go along the front");
    this.columns = [...axes.map((axis) => ({ axis })), ...figures.map((figure) => ({ figure }))];
    this.top = 44;
    this.bottom = this.height - 40;
    this.box.style.minWidth = `${this.left + this.right + 88 * Math.max(this.columns.length - 1, 1)}px`;
  }

  across(column) { return this.left + this.plot * (this.columns.length > 1 ? column / (this.columns.length - 1) : 0.5); }

  // The height of a design on a column; what it has no value of lies below the axis.
  level(column, i) {
    const { axis, scale } = this.columns[column];
    const missing = axis ? axis.at[i] < 0 : scale.empty || scale.figure.values[i] === null;
    if (missing) return this.bottom + 14;
    if (!axis) return this.bottom - (this.bottom - this.top) * scale.place(scale.figure.values[i]);
    // Designs of one value lie beside each other, so that many look like many.
    const last = axis.values.length - 1, height = this.bottom - this.top, room = Math.min(16, 0.4 * height / Math.max(last, 1));
    return this.bottom - height * (last ? axis.at[i] / last : 0.5) + room * ((number[i] * 0.618034) % 1 - 0.5);
  }

  base(context) {
    for (const column of this.columns) {
      if (column.figure) column.scale = new Scale(shown.places.map((i) => column.figure.values[i]), column.figure, []);
    }
    const { fills, of } = shown.colours, others = shown.places.filter((i) => rank[i] !== FRONT);
    const classes = fills.map(() => []);
    for (const i of others) classes[of[i]].push(i);
    context.globalAlpha = Math.max(0.05, Math.min(0.55, 120 / Math.max(others.length, 1)));
    for (let each = fills.length - 1; each >= 0; each--) this.lines(context, classes[each], fills[each]);
    context.globalAlpha = shown.front.length > 200 ? 0.5 : 0.95;
    context.lineWidth = shown.front.length > 200 ? 1 : 1.8;
    for (let each = fills.length - 1; each >= 0; each--) this.lines(context, shown.front.filter((i) => of[i] === each), fills[each]);
    context.globalAlpha = context.lineWidth = 1;
    this.columns.forEach((_, column) => this.axis(column));
  }

  // Lines of one colour, some at a time: one long path is slow to draw.
  lines(context, places, fill) {
    context.strokeStyle = fill;
    for (let from = 0; from < places.length; from += 64) {
      context.beginPath();
      for (const i of places.slice(from, from + 64)) this.path(context, i);
      context.stroke();
    }
  }

  path(context, i) {
    context.moveTo(this.across(0), this.level(0, i));
    for (let column = 1; column < this.columns.length; column++) context.lineTo(this.across(column), this.level(column, i));
  }

  axis(column) {
    const { axis, figure, scale } = this.columns[column], x = Math.round(this.across(column)) + 0.5;
    const room = this.columns.length > 1 ? this.plot / (this.columns.length - 1) - 10 : this.plot;
    this.line(x, this.top, x, this.bottom, colour.ink);
    this.words(fitted(this.context, axis ? axis.key : figure.name, Math.min(room, 2 * Math.min(x, this.width - x))), x, 14, "center", colour.ink);
    if (figure) this.text(figure.more ? "more is better" : "less is better", x, this.height - 10, "center");
    const values = axis ? axis.values.map((value, i) => [i / Math.max(axis.values.length - 1, 1), value])
      : scale.empty ? [] : scale.ticks(6).map((value) => [scale.place(value), brief(value, figure)]);
    const every = Math.ceil(14 * Math.max(values.length - 1, 1) / (this.bottom - this.top));
    values.forEach(([share, words], i) => {
      if (axis && i % every) return;
      const y = this.bottom - (this.bottom - this.top) * (axis && values.length === 1 ? 0.5 : share);
      this.line(x - 3, y, x + 3, y, colour.ink);
      this.words(fitted(this.context, words, Math.min(room, this.right) - 8), x + 6, y, "left");
    });
  }

  nearest(x, y) {
    if (this.columns.length < 2 || y < this.top - 12 || y > this.bottom + 20) return -1;
    const each = this.plot / (this.columns.length - 1), column = Math.min(Math.max(Math.floor((x - this.left) / each), 0), this.columns.length - 2);
    const share = Math.min(Math.max((x - this.across(column)) / each, 0), 1);
    let best = -1, least = 9;
    for (const i of shown.places) {
      const from = this.level(column, i), away = Math.abs(from + (this.level(column + 1, i) - from) * share - y) * (rank[i] === FRONT ? 0.4 : 1);
      if (away < least) { least = away; best = i; }
    }
    return best;
  }

  spot(i) { return [this.across(this.columns.length - 1), this.level(this.columns.length - 1, i)]; }

  mark(context, i) {
    for (const [stroke, width] of [["#fff", 6], [colour.ink, 2.6]]) {
      context.strokeStyle = stroke;
      context.lineWidth = width;
      context.beginPath();
      this.path(context, i);
      context.stroke();
    }
    context.lineWidth = 1;
    this.columns.forEach((_, column) => this.axis(column));
  }
}

const parallel = new Parallel();

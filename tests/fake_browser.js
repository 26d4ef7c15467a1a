// A browser of the least that the charts of a page need: it runs the page's script and writes down what is drawn.
// node fake_browser.js SCRIPT.js STEPS.js: after the script, the steps are run in the same place, and print what they find. The data
// of the page are in SCRIPT.json; `front` among them are the cells of a table, a list a line.
const fs = require("fs"), vm = require("vm");

const elements = new Map();
function element(id) {
  const heard = {};
  const made = {
    id, style: {}, dataset: {}, hidden: false, textContent: "", value: "", checked: false, children: [], attributes: {},
    clientWidth: 1284, width: 0, height: 0, heard,
    append(...more) { this.children.push(...more); for (const each of more) this.textContent += typeof each === "string" ? each : ""; },
    addEventListener(name, action) { (heard[name] = heard[name] || []).push(action); },
    setAttribute(name, value) { this.attributes[name] = value; },
    getAttribute(name) { return name in this.attributes ? this.attributes[name] : null; },
    removeAttribute(name) { delete this.attributes[name]; },
    querySelector: () => null, querySelectorAll: () => [], scrollIntoView() { page.scrolled = made; },
    classes: new Set(), classList: { add: (name) => made.classes.add(name), remove: (name) => made.classes.delete(name) },
    getBoundingClientRect: () => ({ left: 0, top: 0, width: 200, height: 100 }),
    fire(name, event) { for (const action of heard[name] || []) action({ target: made, preventDefault() {}, ...event }); },
  };
  const context = recorder();
  made.getContext = () => context;
  return made;
}

// The table of the front, of the cells of its lines; each begins with the number of a design.
function table(lines) {
  const made = element("front"), body = element("body"), head = element("head");
  head.cells = lines[0].map(() => Object.assign(element("th"), { firstElementChild: element("button") }));
  body.rows = lines.map((cells) => Object.assign(element("tr"), { dataset: { number: cells[0] }, cells: cells.map((textContent) => ({ textContent })) }));
  body.append = (...rows) => { body.rows = rows; };
  body.querySelectorAll = () => body.rows.filter((row) => row.classes.has("shown"));
  return Object.assign(made, { tHead: { rows: [head] }, tBodies: [body] });
}

// A drawing context that counts shapes and keeps words with their places.
function recorder() {
  const drawn = { arcs: 0, moves: 0, words: [] };
  const known = {
    drawn, textAlign: "left",
    clearRect() { Object.assign(drawn, { arcs: 0, moves: 0, words: [] }); },
    arc() { drawn.arcs++; }, moveTo(x, y) { drawn.moves++; check(x, y); }, lineTo: check,
    measureText: (words) => ({ width: 6.8 * words.length }),
    fillText(words, x, y) { check(x, y); drawn.words.push([words, x, y, known.textAlign]); },
  };
  return new Proxy(known, { get: (all, name) => name in all ? all[name] : () => undefined });
}

function check(...places) { if (!places.every(Number.isFinite)) throw new Error("drawn at no place: " + places); }

const waiting = [];
const page = {
  document: {
    documentElement: {},
    getElementById: (id) => id === "front" ? front : elements.get(id) || elements.set(id, element(id)).get(id),
    createElement: () => element(""),
  },
  getComputedStyle: () => ({ getPropertyValue: (name) => name }),
  requestAnimationFrame: (action) => waiting.push(action),
  ResizeObserver: class { observe() {} },
  devicePixelRatio: 1, innerWidth: 1300, innerHeight: 900, scrollX: 0, scrollY: 0, console,
  frame() { while (waiting.length) waiting.shift()(); },
};
const [, , script, steps] = process.argv;
const text = fs.readFileSync(script.replace(/js$/, "json"), "utf8"), front = JSON.parse(text).front ? table(JSON.parse(text).front) : null;
page.document.getElementById("data").textContent = text;
vm.createContext(page);
vm.runInContext([script, steps].map((path) => fs.readFileSync(path, "utf8")).join("\n"), page);

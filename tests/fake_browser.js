// A browser of the least that the charts of a page need: it runs the page's script and writes down what is drawn.
// node fake_browser.js SCRIPT.js STEPS.js: after the script, the steps are run in the same place; `told` is what they print.
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
    getBoundingClientRect: () => ({ left: 0, top: 0, width: 200, height: 100 }),
    fire(name, event) { for (const action of heard[name] || []) action({ target: made, preventDefault() {}, ...event }); },
  };
  const context = recorder();
  made.getContext = () => context;
  return made;
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
    getElementById: (id) => id === "front" ? null : elements.get(id) || elements.set(id, element(id)).get(id),
    createElement: () => element(""),
  },
  getComputedStyle: () => ({ getPropertyValue: (name) => name }),
  requestAnimationFrame: (action) => waiting.push(action),
  ResizeObserver: class { observe() {} },
  devicePixelRatio: 1, innerWidth: 1300, innerHeight: 900, scrollX: 0, scrollY: 0, console,
  frame() { while (waiting.length) waiting.shift()(); },
};
const [, , script, steps] = process.argv;
page.document.getElementById("data").textContent = fs.readFileSync(script.replace(/js$/, "json"), "utf8");
vm.createContext(page);
vm.runInContext([script, steps].map((path) => fs.readFileSync(path, "utf8")).join("\n"), page);

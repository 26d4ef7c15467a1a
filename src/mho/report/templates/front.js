// The table of the front: its columns sort, its lines point at designs, its commands can be copied.

const table = document.getElementById("front"), places = new Map(number.map((each, place) => [each, place]));
if (table) {
  const body = table.tBodies[0], rows = [...body.rows], placeOf = (row) => places.get(Number(row.dataset.number));
  const again = (figure) => (i) => (measured[number[i]] || [])[figure];
  // What each column is sorted by; the words of its cells where it is no number.
  const keys = [(i) => number[i], ...axes.map((axis) => (i) => axis.at[i]), ...figures.map((figure) => (i) => figure.values[i]),
    ...(Object.keys(measured).length ? figures.map((_, figure) => again(figure)) : [])];
  [...table.tHead.rows[0].cells].forEach((cell, column) => {
    if (!cell.firstElementChild) return;
    cell.firstElementChild.addEventListener("click", () => {
      const rising = cell.getAttribute("aria-sort") !== "ascending", key = keys[column];
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", rising ? "ascending" : "descending");
      const value = (row) => key ? key(placeOf(row)) : row.cells[column].textContent;
      rows.sort((a, b) => {
        const [left, right] = [value(a), value(b)], none = (each) => each === null || each === undefined;
        if (left === right) return placeOf(a) - placeOf(b);
        if (none(left) || none(right)) return none(left) ? 1 : -1;
        return (left < right ? -1 : 1) * (rising ? 1 : -1);
      });
      body.append(...rows);
    });
  });
  const rowOf = new Map(rows.map((row) => [placeOf(row), row]));
  shown.follow = (place, scroll) => {
    for (const row of body.querySelectorAll(".shown")) row.classList.remove("shown");
    const row = rowOf.get(place);
    if (!row) return;
    row.classList.add("shown");
    if (scroll) row.scrollIntoView({ block: "center" });
  };
  for (const row of rows) {
    for (const name of ["pointerenter", "focusin"]) row.addEventListener(name, () => shown.point(placeOf(row)));
    for (const name of ["pointerleave", "focusout"]) row.addEventListener(name, () => shown.point(-1));
    const button = row.querySelector(".copy");
    if (button) button.addEventListener("click", () => copied(button, row.querySelector("code")));
  }
}

// Copies a command, or selects it where the browser does not let a page copy.
async function copied(button, code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "copied";
  } catch {
    getSelection().selectAllChildren(code);
    button.textContent = "selected";
  }
  setTimeout(() => { button.textContent = "copy"; }, 1500);
}

shown.draw();

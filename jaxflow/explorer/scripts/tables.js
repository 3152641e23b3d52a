// The table of networks: sorted by a column, a network chosen by its row.

import { html } from "./drawing.js";

export function makeTable(table, on) {
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((cell, column) => {
    const button = html("button", { type: "button" }, cell.textContent);
    cell.replaceChildren(button);
    button.addEventListener("click", () => on.sort(column));
  });
  const rows = [...table.tBodies[0].rows];
  for (const row of rows) {
    const cell = row.cells[0],
      number = cell.textContent;
    if (!on.has(number)) continue;
    const button = html("button", { type: "button", "aria-label": `show network ${number}` }, number);
    cell.replaceChildren(button);
    button.addEventListener("click", () => on.choose(number));
  }
  return { table, rows, headers };
}

// Sorted by "3" or, falling, "-3"; in the order of the numbers if empty.
export function sortTable({ table, rows, headers }, order) {
  const falling = order.startsWith("-");
  const column = order === "" ? 0 : Number(order.replace("-", ""));
  const texts = headers[column].classList.contains("text");
  const valueOf = (text) => (texts ? text : Number.isNaN(Number(text)) ? -Infinity : Number(text));
  const values = new Map(rows.map((row) => [row, valueOf(row.cells[column].textContent.replace("−", "-"))]));
  const by = (a, b) => (values.get(a) < values.get(b) ? -1 : values.get(a) > values.get(b) ? 1 : 0);
  table.tBodies[0].append(...[...rows].sort((a, b) => (falling ? by(b, a) : by(a, b))));
  headers.forEach((cell, place) => {
    if (place === column && order !== "") cell.setAttribute("aria-sort", falling ? "descending" : "ascending");
    else cell.removeAttribute("aria-sort");
  });
}

// What a click on a column's name makes of the order: rising, falling, as it was.
export function nextOrder(order, column) {
  return order === String(column) ? `-${column}` : order === `-${column}` ? "" : String(column);
}

// Says of tables that are wider than their box that there is more to see, whenever their widths change.
export function cueColumns() {
  const observer = new ResizeObserver((entries) => {
    for (const box of new Set(entries.map((own) => own.target.closest(".scroll"))))
      box.classList.toggle("wider", box.scrollWidth > box.clientWidth + 1);
  });
  for (const box of document.querySelectorAll(".scroll")) for (const own of [box, box.firstChild]) observer.observe(own);
}

export function markRow({ rows }, network) {
  for (const row of rows) row.classList.toggle("chosen", row.cells[0].textContent === network);
}

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
  const values = new Map(rows.map((row) => [row, Number(row.cells[column].textContent.replace("−", "-"))]));
  const key = (row) => (Number.isNaN(values.get(row)) ? -Infinity : values.get(row));
  table.tBodies[0].append(...[...rows].sort((a, b) => (falling ? key(b) - key(a) : key(a) - key(b))));
  headers.forEach((cell, place) => {
    if (place === column && order !== "") cell.setAttribute("aria-sort", falling ? "descending" : "ascending");
    else cell.removeAttribute("aria-sort");
  });
}

export function markRow({ rows }, network) {
  for (const row of rows) row.classList.toggle("chosen", row.cells[0].textContent === network);
}

"use strict";

// Sorting and filtering. Cells are sorted by their data-value where they have one, else by what they say; rows without
// a number come last in both directions, and rows that are alike keep their order.
(() => {
  const collator = new Intl.Collator("en", { numeric: true });
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent.trim();
  };
  const compare = (a, b, sign) => {
    if (typeof a === "string") return sign * collator.compare(a, b);
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
    return sign * (a - b);
  };

  const sort = (table, heading) => {
    const column = heading.cellIndex;
    const ascending = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const sign = ascending ? 1 : -1;
    const rows = [...table.tBodies[0].rows].map((row) => [keyOf(row, column), row]);
    rows.sort(([a], [b]) => compare(a, b, sign));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  };

  const filter = (figure, wanted) => {
    const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = [...figure.querySelectorAll("tbody tr")];
    for (const row of rows) {
      const text = [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
    const shown = rows.filter((row) => !row.hidden).length;
    figure.querySelector(".count").textContent = words.length ? `${shown} of ${rows.length} rows` : "";
  };

  for (const table of document.querySelectorAll(".table table")) {
    for (const heading of table.tHead.rows[0].cells) {
      heading.querySelector("button").addEventListener("click", () => sort(table, heading));
    }
  }
  for (const input of document.querySelectorAll("[data-filters]")) {
    input.addEventListener("input", () => filter(document.getElementById(input.dataset.filters), input.value));
  }
})();

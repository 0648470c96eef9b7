"use strict";
// Tables sort by the column that is clicked, numbers by their exact value.
for (const head of document.querySelectorAll("th button")) {
  head.addEventListener("click", () => {
    const cell = head.parentElement, table = cell.closest("table"), column = cell.cellIndex;
    const down = cell.getAttribute("aria-sort") === "ascending";
    for (const other of cell.parentElement.cells) other.removeAttribute("aria-sort");
    cell.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const compare = (a, b) => key(a).localeCompare(key(b), "en", { numeric: true });
    const body = table.tBodies[0];
    const rows = [...body.rows].sort((a, b) => (down ? compare(b, a) : compare(a, b)));
    body.append(...rows);
  });
}
// A search box hides the rows that do not have all of its words.
for (const box of document.querySelectorAll("input[type=search]")) {
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of box.nextElementSibling.querySelector("tbody").rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every(word => text.includes(word));
    }
  });
}
// A label that does not fit its tile is hidden; the title of the tile has the whole path.
const fit = () => {
  for (const label of document.querySelectorAll(".tile span")) {
    label.hidden = false;
    const tile = label.parentElement;
    label.hidden = tile.scrollHeight > tile.clientHeight + 1 || tile.scrollWidth > tile.clientWidth + 1
      || tile.clientWidth < 28;
  }
};
fit();
addEventListener("resize", fit);
// Everything is on paper.
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});

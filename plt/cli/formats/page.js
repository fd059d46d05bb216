"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = Array.from(table.tHead.rows[0].cells);
  const key = (row, column) => {
    const text = row.cells[column].textContent.trim();
    const number = parseFloat(text.replace(/,(?=\d{3})/g, "").replace("<", ""));
    return { text, number };
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const numeric = head.classList.contains("n");
      const rows = Array.from(body.rows).map((row) => ({ row, ...key(row, column) }));
      rows.sort((a, b) => {
        if (numeric) {
          const missing = Number.isNaN(a.number) - Number.isNaN(b.number);
          if (missing !== 0 || Number.isNaN(a.number)) return missing;
          return down ? b.number - a.number : a.number - b.number;
        }
        return down ? b.text.localeCompare(a.text) : a.text.localeCompare(b.text);
      });
      body.append(...rows.map((each) => each.row));
    });
  });
}
const open = () => {
  const target = document.getElementById(location.hash.slice(1));
  for (let each = target; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
  if (target) target.scrollIntoView();
};
addEventListener("hashchange", open);
open();

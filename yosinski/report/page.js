// A click on a head sorts its column: numbers as numbers, cells without a number last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.querySelectorAll("th")];
  heads.forEach((head, column) => {
    head.tabIndex = 0;
    const sort = () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      const key = row => row.cells[column].textContent.trim();
      const compare = (one, other) => {
        const [a, b] = [key(one), key(other)];
        const [x, y] = [Number(a || NaN), Number(b || NaN)];
        if (!isNaN(x) && !isNaN(y)) return down ? y - x : x - y;
        if (isNaN(x) !== isNaN(y)) return isNaN(x) ? 1 : -1;
        return (down ? -1 : 1) * a.localeCompare(b, "en", { numeric: true });
      };
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort(compare));
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
    };
    head.onclick = sort;
    head.onkeydown = event => { if (event.key === "Enter") sort(); };
  });
}
// Text typed into a filter hides what does not contain it.
for (const filter of document.querySelectorAll("input[data-filter]")) {
  filter.oninput = () => {
    for (const part of document.querySelectorAll(filter.dataset.filter)) {
      part.hidden = !part.textContent.toLowerCase().includes(filter.value.toLowerCase());
    }
  };
}
// A link to a net opens it.
const open = () => {
  const part = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (part instanceof HTMLDetailsElement) {
    part.open = true;
    part.scrollIntoView();
  }
};
addEventListener("hashchange", open);
open();

"use strict";
const MARKS = { pass: "✓", deviates: "≈", fail: "✗", error: "!", unsupported: "–", "not-run": "○" };
const WORST_FIRST = ["fail", "error", "deviates", "pass", "not-run", "unsupported"];

// The matrix: arrow keys go from tile to tile, and it is drawn anew of the cells that the filters leave.
// What it shows of all cells is there already; see reports/matrix.py for how a tile is made.
const drawMatrix = (() => {
  const STEPS = [0.2, 0.4, 0.6, 0.8, 1];
  const NAMES = ["loss", "impl", "mode", "dtype"];
  const tables = [...document.querySelectorAll(".matrix table")];
  const tiles = tables.flatMap((table) => {
    const columns = [...table.querySelectorAll("th[scope=col]")].map((head) => head.dataset);
    return [...table.querySelectorAll("a.tile")].map((tile) => {
      const box = tile.parentElement;
      const names = { ...columns[box.cellIndex - 1], loss: box.parentElement.dataset.loss, dtype: table.dataset.dtype };
      const whole = { kind: tile.className, mark: tile.textContent, label: tile.getAttribute("aria-label") };
      return { tile, whole, place: NAMES.map((name) => names[name]).join("\n") };
    });
  });

  const show = (tile, { kind, mark, label }) => {
    tile.className = kind;
    tile.firstElementChild.textContent = mark;
    tile.setAttribute("aria-label", label);
  };

  const drawn = (place, found) => {
    const counts = new Map();
    for (const { verdict } of found) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
    const kinds = WORST_FIRST.filter((verdict) => counts.has(verdict));
    const worst = kinds[0];
    const shares = found.filter(({ check, share }) => ["value", "gradient"].includes(check) && share !== null).map(({ share }) => Number(share));
    const most = Math.max(...shares);
    const step = shares.length && ["pass", "deviates"].includes(worst) ? STEPS.findIndex((end) => most <= end) + 1 || STEPS.length : 0;
    const partly = !["not-run", "unsupported"].includes(worst) && (counts.has("not-run") || counts.has("unsupported"));
    const used = !shares.length ? "" : most <= 1 ? `; up to ${(100 * most).toFixed(0)} % of the bound` : "; beyond the bound";
    return {
      kind: `tile ${worst}${step ? ` step-${step}` : ""}${partly ? " partly" : ""}`,
      mark: worst === "pass" ? "" : MARKS[worst],
      label: `${place.replaceAll("\n", ", ")}: ${kinds.map((verdict) => `${counts.get(verdict)} ${verdict}`).join(", ")}${used}`,
    };
  };

  const reachable = () => {
    for (const table of tables) {
      const seen = [...table.querySelectorAll("a.tile:not([hidden])")];
      const kept = seen.find((tile) => tile === document.activeElement) ?? seen[0];
      for (const tile of seen) tile.tabIndex = tile === kept ? 0 : -1;
    }
  };

  const WAYS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  document.querySelector(".matrix")?.addEventListener("keydown", (event) => {
    const way = WAYS[event.key];
    const box = event.target.closest("a.tile")?.parentElement;
    if (!way || !box || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const lines = box.closest("tbody").rows;
    let [row, column] = [box.parentElement.sectionRowIndex, box.cellIndex];
    for (;;) {
      [row, column] = [row + way[0], column + way[1]];
      if (!lines[row]?.cells[column]) return;
      const next = lines[row].cells[column].querySelector("a.tile:not([hidden])");
      if (next) {
        next.focus();
        return reachable();
      }
    }
  });
  reachable();

  return (columns, rows) => {
    const all = rows.length === columns.case.rows.length;
    const at = (name, row) => columns[name].texts[columns[name].rows[row]];
    const mine = new Map();
    for (const row of all ? [] : rows) {
      const place = NAMES.map((name) => at(name, row)).join("\n");
      if (!mine.has(place)) mine.set(place, []);
      const used = columns.budget_used[row];
      mine.get(place).push({ verdict: at("verdict", row), check: at("check", row), share: used === "inf" ? Infinity : used });
    }
    for (const { tile, whole, place } of tiles) {
      const found = mine.get(place);
      tile.hidden = !all && !found;
      show(tile, found ? drawn(place, found) : whole);
    }
    for (const table of tables) {
      for (const line of table.tBodies[0].rows) line.hidden = !line.querySelector("a.tile:not([hidden])");
      table.parentElement.hidden = ![...table.tBodies[0].rows].some((line) => !line.hidden);
    }
    reachable();
  };
})();


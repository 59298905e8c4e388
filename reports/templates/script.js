// Filters, sorts and opens cells. Everything that matters can be read without it.
(() => {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    const text = button.previousElementSibling.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    button.focus();
  });

  const openTarget = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (target instanceof HTMLDetailsElement) target.open = true;
    return target;
  };
  openTarget();
  addEventListener("hashchange", openTarget);

  const data = document.getElementById("packed");
  if (!data) return;
  const CODED = ["loss", "impl", "framework", "dtype", "mode", "device", "case", "check", "verdict", "detail", "retried"];
  const FILTERS = ["loss", "impl", "dtype", "mode", "device", "check", "verdict"];
  const HEIGHT = 32;
  const form = document.getElementById("filters");
  const viewport = document.getElementById("viewport");
  const grid = document.getElementById("grid");
  const body = grid.tBodies[0];
  const one = document.getElementById("one");
  let columns, rows = [], sort = { by: "", down: false }, chosen = "";

  const at = (name, row) => columns[name].texts[columns[name].rows[row]];
  const keyOf = (row) => ["impl", "device", "dtype", "mode", "case", "check"].map((name) => at(name, row)).join("|");
  const element = (name, text, kind) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };
  const number = (value) => (value === null || value === undefined ? "–" : String(value));

  const unpack = async () => {
    const bytes = Uint8Array.from(atob(data.textContent), (char) => char.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    columns = JSON.parse(await new Response(stream).text());
    data.remove();
  };

  const remember = () => {
    const state = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) state.set(name, value);
    if (sort.by) state.set("sort", (sort.down ? "-" : "") + sort.by);
    if (chosen) state.set("cell", chosen);
    const hash = "#" + state;
    if (hash.length > 1 || location.hash.includes("=")) history.replaceState(null, "", hash);
  };

  const recall = () => {
    if (!location.hash.includes("=")) return;
    const state = new URLSearchParams(location.hash.slice(1));
    for (const name of [...FILTERS, "q"]) form.elements[name].value = state.get(name) ?? "";
    const by = state.get("sort") ?? "";
    sort = { by: by.replace(/^-/, ""), down: by.startsWith("-") };
    chosen = state.get("cell") ?? "";
    select();
    const row = chosen ? find(chosen) : -1;
    if (row >= 0) open(row);
    else if (!chosen) document.getElementById("cells").scrollIntoView();
  };

  const find = (key) => {
    for (let row = 0; row < columns.case.rows.length; row++) if (keyOf(row) === key) return row;
    return -1;
  };

  const select = () => {
    const codes = [];
    for (const name of FILTERS) {
      const value = form.elements[name].value;
      if (value) codes.push([columns[name].rows, columns[name].texts.indexOf(value)]);
    }
    const words = form.elements.q.value.toLowerCase();
    const hits = (name) => new Set(columns[name].texts.flatMap((text, i) => (text.toLowerCase().includes(words) ? [i] : [])));
    const [cases, details] = words ? [hits("case"), hits("detail")] : [];
    rows = [];
    for (let row = 0; row < columns.case.rows.length; row++) {
      if (codes.some(([values, code]) => values[row] !== code)) continue;
      if (words && !cases.has(columns.case.rows[row]) && !details.has(columns.detail.rows[row])) continue;
      rows.push(row);
    }
    order();
    drawMatrix(columns, rows);
    form.elements.found.value = `${rows.length.toLocaleString("en")} of ${columns.case.rows.length.toLocaleString("en")} cells`;
    viewport.scrollTop = 0;
    draw();
    remember();
  };

  const order = () => {
    if (sort.by) {
      const numeric = sort.by === "error_ulp" || sort.by === "budget_used";
      const sign = sort.down ? -1 : 1;
      const ranks = numeric ? null : new Map([...columns[sort.by].texts.keys()]
        .sort((a, b) => (columns[sort.by].texts[a] < columns[sort.by].texts[b] ? -1 : 1)).map((code, rank) => [code, rank]));
      const value = numeric ? (row) => columns[sort.by][row] : (row) => ranks.get(columns[sort.by].rows[row]);
      const missing = (x) => x === null || Number.isNaN(Number(x));
      rows.sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        if (missing(x) || missing(y)) return missing(x) - missing(y) || a - b;
        return sign * (Number(x) - Number(y)) || a - b;
      });
    }
    for (const button of grid.tHead.querySelectorAll("button")) {
      const mine = button.dataset.sort === sort.by;
      button.parentElement.setAttribute("aria-sort", mine ? (sort.down ? "descending" : "ascending") : "none");
    }
  };

  const spacer = (count) => {
    const line = element("tr");
    line.setAttribute("aria-hidden", "true");
    line.style.height = `${count * HEIGHT}px`;
    return line;
  };

  const draw = () => {
    const first = Math.max(0, Math.floor(viewport.scrollTop / HEIGHT) - 10);
    const last = Math.min(rows.length, first + Math.ceil(viewport.clientHeight / HEIGHT) + 20);
    const lines = [];
    if (first) lines.push(spacer(first));
    for (let index = first; index < last; index++) lines.push(lineOf(rows[index], index));
    if (last < rows.length) lines.push(spacer(rows.length - last));
    const focused = body.contains(document.activeElement) ? document.activeElement.dataset.row : null;
    body.replaceChildren(...lines);
    if (focused) body.querySelector(`button[data-row="${focused}"]`)?.focus({ preventScroll: true });
    grid.setAttribute("aria-rowcount", rows.length + 1);
  };

  const lineOf = (row, index) => {
    const line = element("tr");
    line.setAttribute("aria-rowindex", index + 2);
    const verdict = at("verdict", row);
    const head = element("td");
    head.append(element("span", `${MARKS[verdict]} ${verdict}`, verdict));
    const name = element("td");
    const button = element("button", at("case", row));
    button.type = "button";
    button.dataset.row = row;
    name.append(button);
    line.append(head, name);
    for (const column of ["impl", "dtype", "mode", "check"]) line.append(element("td", at(column, row)));
    for (const column of ["error_ulp", "budget_used"]) line.append(element("td", number(columns[column][row]), "number"));
    return line;
  };

  const open = (row) => {
    chosen = keyOf(row);
    const told = [...document.querySelectorAll("details.failing")].find((item) => item.dataset.key === chosen);
    if (told) {
      told.open = true;
      told.scrollIntoView();
      told.querySelector("summary").focus();
      one.hidden = true;
      remember();
      return;
    }
    const list = element("dl");
    const values = [...CODED.map((name) => [name, at(name, row)]), ["error in ulp", number(columns.error_ulp[row])],
      ["share of the bound", number(columns.budget_used[row])]];
    for (const [name, value] of values) if (value) list.append(element("dt", name), element("dd", value));
    const quoted = (text) => (/^[\w./:+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
    const words = ["impl", "case", "device", "dtype", "mode"].flatMap((name) => [`--${name}`, quoted(at(name, row))]);
    const repeat = element("dd");
    const copy = element("button", "Copy", "copy");
    copy.type = "button";
    repeat.append(element("code", ["pytest conformance", ...words].join(" ")), copy);
    list.append(element("dt", "repeat"), repeat);
    one.replaceChildren(element("h3", at("case", row)), list);
    one.hidden = false;
    one.scrollIntoView({ block: "nearest" });
    remember();
  };

  // What is shown, as a file; no text may be taken for a formula by a spreadsheet.
  const FORMULA = /^[=+\-@\t\r|%]/;
  const NAMES = [...CODED, "error_ulp", "budget_used"];
  const valueOf = (name, row) => (CODED.includes(name) ? at(name, row) : columns[name][row]);
  const quote = (value) => {
    if (typeof value !== "string") return value ?? "";
    return `"${(FORMULA.test(value) ? "'" + value : value).replaceAll('"', '""')}"`;
  };
  const written = {
    csv: () => [NAMES.join(","), ...rows.map((row) => NAMES.map((name) => quote(valueOf(name, row))).join(","))].join("\r\n"),
    json: () => JSON.stringify(rows.map((row) => Object.fromEntries(NAMES.map((name) => [name, valueOf(name, row)])))),
  };
  const save = (kind) => {
    const link = element("a");
    link.href = URL.createObjectURL(new Blob([written[kind]()], { type: kind === "csv" ? "text/csv" : "application/json" }));
    link.download = `cells.${kind}`;
    link.click();
    URL.revokeObjectURL(link.href);
  };

  const start = async () => {
    await unpack();
    for (const name of FILTERS)
      for (const text of [...columns[name].texts].sort()) {
        const option = element("option", text.length > 60 ? text.slice(0, 60) + "…" : text);
        option.value = text;
        form.elements[name].append(option);
      }
    form.addEventListener("input", select);
    for (const button of document.querySelectorAll("[data-save]")) button.addEventListener("click", () => save(button.dataset.save));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => { sort = { by: "", down: false }; chosen = ""; one.hidden = true; select(); }));
    viewport.addEventListener("scroll", () => requestAnimationFrame(draw));
    grid.tHead.addEventListener("click", (event) => {
      const by = event.target.closest("button")?.dataset.sort;
      if (!by) return;
      sort = { by, down: sort.by === by && !sort.down };
      select();
    });
    body.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) open(Number(button.dataset.row));
    });
    if (location.hash.includes("=")) recall();
    else select();
    addEventListener("hashchange", recall);
    document.documentElement.dataset.ready = "true";
  };
  start().catch((error) => {
    document.documentElement.classList.remove("scripted");
    throw error;
  });
})();

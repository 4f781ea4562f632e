"use strict";

const page = JSON.parse(document.getElementById("figures").textContent);
const hiddenMethods = new Set();
const fingers = matchMedia("(pointer: coarse)"); // a finger on a figure scrolls the page: no zoom

// plotly.js travels compressed; the browser has the means to unpack it.
async function loadPlotly() {
  const bytes = Uint8Array.from(atob(document.getElementById("plotly").textContent), (c) =>
    c.charCodeAt(0),
  );
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
}

// "@series-3/0.13" is the page's colour --series-3 in the present scheme, let through.
const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);

function color(token) {
  const [name, alpha] = token.slice(1).split("/");
  probe.style.color = `var(--${name})`;
  const resolved = getComputedStyle(probe).color;
  return alpha ? resolved.replace("rgb(", "rgba(").replace(")", `, ${alpha})`) : resolved;
}

function painted(value, isColor) {
  if (typeof value === "string") return isColor && value.startsWith("@") ? color(value) : value;
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((entry) => painted(entry, isColor));
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [key, painted(entry, /color(scale)?$/.test(key))]),
  );
}

function axis(own, automargin) {
  const base = {
    automargin,
    fixedrange: fingers.matches,
    gridcolor: "@grid",
    linecolor: "@rule",
    zerolinecolor: "@rule",
    zeroline: false,
    tickfont: { color: "@soft" },
  };
  const title = { standoff: 12, font: { color: "@soft", size: 12.5 }, ...own?.title };
  return { ...base, ...own, title: title.text ? title : undefined };
}

function layout(plot, small) {
  return painted({
    ...plot.layout,
    xaxis: axis(plot.layout.xaxis, true),
    // Not "true": a number at the upper end would ask for a margin, and in it no longer need one,
    // so that plotly draws the figure again and again.
    yaxis: axis(plot.layout.yaxis, "width"),
    margin: small ? { l: 4, r: 4, t: 6, b: 22 } : { l: 8, r: 8, t: 10, b: 44 },
    font: { family: getComputedStyle(document.body).fontFamily, size: small ? 11 : 12.5, color: "@ink" },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    showlegend: false,
    hovermode: "closest",
    dragmode: fingers.matches ? false : "zoom",
    hoverlabel: {
      bgcolor: "@raised",
      bordercolor: "@rule",
      font: { color: "@ink", size: 12.5 },
      align: "left",
    },
  });
}

function chosenRule() {
  return document.querySelector("input[name=rule]:checked")?.value ?? "";
}

function isShown({ method, rule, model } = {}) {
  const chosen = document.getElementById("model")?.value; // whose inputs are shown
  return (
    !hiddenMethods.has(method) &&
    (!rule || !chosenRule() || rule === chosenRule()) &&
    (!model || !chosen || model === chosen)
  );
}

function draw(element) {
  const plot = page.plots[element.dataset.figure];
  const traces = [...plot.traces, ...(page.shared[plot.background] ?? [])];
  const shown = traces.map((trace) => ({ ...trace, visible: isShown(trace.meta) }));
  const small = element.closest(".panel") !== null;
  return Plotly.react(element, painted(shown), layout(plot, small), {
    displayModeBar: false,
    responsive: true,
    doubleClick: "reset+autosize",
  });
}

// One after the other, so that the page can be read and scrolled meanwhile.
async function drawAll() {
  for (const element of document.querySelectorAll(".plot")) {
    const panel = element.closest(".panel[data-method]");
    if (panel) panel.hidden = !isShown(panel.dataset);
    if (panel?.hidden) continue;
    await draw(element);
    await new Promise((next) => setTimeout(next));
  }
}

function redrawWhere(affected) {
  if (!("Plotly" in window)) return;
  for (const element of document.querySelectorAll(".plot")) {
    const panel = element.closest(".panel[data-method]");
    if (panel) {
      const wasHidden = panel.hidden;
      panel.hidden = !isShown(panel.dataset);
      if (panel.hidden || !(wasHidden || affected(page.plots[element.dataset.figure]))) continue;
    } else if (!affected(page.plots[element.dataset.figure])) continue;
    draw(element);
  }
}

function showMethods() {
  for (const button of document.querySelectorAll(".legend button")) {
    button.setAttribute("aria-pressed", String(!hiddenMethods.has(button.dataset.method)));
  }
  redrawWhere((plot) => plot.traces.some((trace) => trace.meta?.method));
}

function bindLegend() {
  const buttons = [...document.querySelectorAll(".legend button")];
  for (const button of buttons) {
    const own = button.dataset.method;
    button.addEventListener("click", () => {
      if (!hiddenMethods.delete(own)) hiddenMethods.add(own);
      showMethods();
    });
    button.addEventListener("dblclick", () => {
      const others = buttons.map((other) => other.dataset.method).filter((name) => name !== own);
      const alone = others.every((name) => hiddenMethods.has(name)) && !hiddenMethods.has(own);
      hiddenMethods.clear();
      if (!alone) others.forEach((name) => hiddenMethods.add(name));
      showMethods();
    });
  }
}

function bindRules() {
  for (const input of document.querySelectorAll("input[name=rule]")) {
    input.addEventListener("change", () =>
      redrawWhere((plot) => plot.traces.some((trace) => trace.meta?.rule)),
    );
  }
}

function bindModels() {
  document
    .getElementById("model")
    ?.addEventListener("change", () =>
      redrawWhere((plot) => plot.traces.some((trace) => trace.meta?.model)),
    );
}

function bindScheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const redraw = () => redrawWhere(() => true);
  dark.addEventListener("change", redraw);
  document.getElementById("scheme").addEventListener("click", () => {
    const present = root.dataset.scheme ?? (dark.matches ? "dark" : "light");
    root.dataset.scheme = present === "dark" ? "light" : "dark";
    redraw();
  });
}

function compare(a, b, isNumber) {
  return isNumber ? Number(a) - Number(b) : a.localeCompare(b);
}

// Rows without a value stay last, whichever way the column is sorted.
function sortBy(table, head) {
  const column = head.cellIndex;
  const isNumber = head.dataset.kind === "number";
  const present = head.getAttribute("aria-sort");
  const ascending = present ? present === "descending" : !isNumber;
  const value = (row) => row.cells[column].dataset.value;
  const rows = [...table.tBodies[0].rows].sort((a, b) => {
    if (value(a) === "" || value(b) === "") return (value(a) === "") - (value(b) === "");
    return compare(value(a), value(b), isNumber) * (ascending ? 1 : -1);
  });
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  table.tBodies[0].append(...rows);
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const head of table.tHead.rows[0].cells) {
    head.querySelector("button").addEventListener("click", () => sortBy(table, head));
  }
}

// Rows that hold every word that is typed, in any column.
function bindSearch() {
  const field = document.getElementById("search");
  if (field === null) return;
  const rows = [...document.querySelectorAll("table.laws tbody tr")];
  const texts = rows.map((row) =>
    [...row.cells].map((cell) => cell.textContent.toLowerCase()).join("\n"),
  );
  const found = document.getElementById("found");
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row, index) => {
      row.hidden = !words.every((word) => texts[index].includes(word));
    });
    const shown = rows.filter((row) => !row.hidden).length;
    found.textContent = words.length ? `${shown} of ${rows.length}` : "";
  });
}

bindScheme();
bindSearch();

async function start() {
  const section = document.querySelector(".figures");
  if (section === null) return;
  if (!("DecompressionStream" in window)) {
    const trouble = '<p class="trouble">The figures need a browser from 2023 or later.</p>';
    section.insertAdjacentHTML("afterbegin", trouble);
    return;
  }
  await loadPlotly();
  bindLegend();
  bindRules();
  bindModels();
  await drawAll();
}

start().then(() => document.documentElement.setAttribute("data-ready", ""));

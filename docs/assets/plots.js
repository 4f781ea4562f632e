"use strict";

// Draw the figures of a page that has any: plotly.js is loaded from this site, and only then.
(() => {
  const own = document.currentScript.src;
  const places = document.querySelectorAll(".plot[data-figure]");
  if (places.length === 0) return;
  const library = document.createElement("script");
  library.src = new URL("plotly.min.js", own);
  library.onload = () => {
    for (const place of places) {
      const { data, layout } = JSON.parse(place.dataset.figure);
      Plotly.newPlot(place, data, layout, { displayModeBar: false, responsive: true });
    }
  };
  document.head.append(library);
})();

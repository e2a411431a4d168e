// Taking figures away: the menus, the addresses of files that the server makes, and the images.

(function () {
  "use strict";

  // A figure is laid out at least this wide, whatever the screen; a PNG has this many pixels across:
  // 300 to an inch on a page of 30 cm.
  const LEAST_WIDTH = 720;
  const PNG_PIXELS = 3600;

  function save(figure, format) {
    const graph = document.querySelector(`#${figure} .js-plotly-plot`);
    if (!graph) return;
    const width = Math.max(graph.clientWidth, LEAST_WIDTH);
    window.Plotly.downloadImage(graph, {
      format: format,
      filename: figure,
      width: width,
      height: graph.clientHeight,
      scale: format === "png" ? PNG_PIXELS / width : 1,
    });
  }

  function close(menu, focus) {
    menu.open = false;
    if (focus) menu.querySelector("summary").focus();
  }

  function opened() {
    return document.querySelector(".cf-downloads[open]");
  }

  document.addEventListener("click", (event) => {
    const menu = opened();
    const entry = event.target.closest(".cf-menu .cf-download");
    if (entry && entry.dataset.format) save(entry.dataset.figure, entry.dataset.format);
    if (menu && (entry || !menu.contains(event.target))) close(menu, Boolean(entry));
  });

  document.addEventListener("focusin", (event) => {
    const menu = opened();
    if (menu && !menu.contains(event.target)) close(menu, false);
  });

  document.addEventListener("keydown", (event) => {
    const menu = opened();
    if (menu && event.key === "Escape") close(menu, true);
  });

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.downloads = {
    addresses: function (query, theme, tables, pages) {
      const view = query || "?";
      return [
        tables.map((id) => `figure/${id.index}.csv${view}`),
        pages.map((id) => `figure/${id.index}.html${view}&theme=${theme}`),
        `report.html${view}`,
      ];
    },
  };
})();

// What Plotly and AG Grid need from the browser's side: clicks in the token flow, images of
// figures, and a table theme that follows the page's colours.

(function () {
  "use strict";

  // Dash passes on neither whether a click hit a cluster or a band, nor their customdata; Plotly
  // knows both. The figure's element stays the same when the figure changes, so one listener does.
  let gestures = 0;

  function listen(graph) {
    if (graph.dataset.cfListens) return;
    graph.dataset.cfListens = "true";
    graph.on("plotly_click", (event) => {
      const point = event.points && event.points[0];
      if (!point || !Array.isArray(point.customdata)) return;
      // ["node", layer, cluster, ...] or ["link", layer, source, target, ...]
      const parts = point.customdata[0] === "node" ? 3 : 4;
      gestures += 1;
      window.dash_clientside.set_props("gesture", {
        data: { kind: "select", value: point.customdata.slice(0, parts), n: gestures },
      });
    });
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.figures = {
    // Runs whenever the token flow's figure changed; Plotly may still be loading by then.
    listen: function (_figure, id) {
      const attach = (attempts) => {
        const graph = document.querySelector(`#${id} .js-plotly-plot`);
        if (graph && graph.on) listen(graph);
        else if (attempts > 0) setTimeout(() => attach(attempts - 1), 100);
      };
      attach(100);
    },

    // The rows that the table holds belong to the old columns.
    refetch: function (_columns, id) {
      const grid = window.dash_ag_grid && window.dash_ag_grid.getApi(id);
      if (grid) grid.purgeInfiniteCache();
    },

    csv_addresses: function (query, ids) {
      return ids.map((id) => `figure-data/${id.index}.csv${query || ""}`);
    },
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest("[data-figure][data-format]");
    if (!button) return;
    const graph = document.querySelector(`#${button.dataset.figure} .js-plotly-plot`);
    if (!graph) return;
    window.Plotly.downloadImage(graph, {
      format: button.dataset.format,
      filename: button.dataset.figure,
      width: graph.clientWidth,
      height: graph.clientHeight,
      scale: button.dataset.format === "png" ? 2 : 1,
    });
  });

  window.dashAgGridFunctions = window.dashAgGridFunctions || {};
  window.dashAgGridFunctions.cfDecimals = (value) =>
    typeof value === "number" ? value.toFixed(3) : "–";
  window.dashAgGridFunctions.cfGridTheme = (theme) =>
    theme.withParams({
      accentColor: "var(--cf-accent)",
      backgroundColor: "var(--cf-surface)",
      foregroundColor: "var(--cf-text)",
      borderColor: "var(--cf-line)",
      headerBackgroundColor: "var(--cf-surface)",
      headerTextColor: "var(--cf-soft)",
      rowHoverColor: "var(--cf-sunken)",
      oddRowBackgroundColor: "var(--cf-surface)",
      fontFamily: "inherit",
      fontSize: "13px",
      wrapperBorder: false,
      wrapperBorderRadius: 0,
    });
})();

// What Plotly and AG Grid need from the browser's side: clicks in figures, and a table theme that
// follows the page's colours.

(function () {
  "use strict";

  // Dash passes on neither whether a click hit a cluster or a band, nor their customdata; Plotly
  // knows both. A figure's element stays the same when the figure changes, so one listener does.
  let gestures = 0;

  function tell(kind, value) {
    gestures += 1;
    window.dash_clientside.set_props("gesture", {
      data: { kind: kind, value: value, n: `click-${gestures}` },
    });
  }

  // What a click on a point of a figure chooses, by the figure's id; of most, what its customdata
  // begins with says it: ["node", layer, cluster], ["link", layer, source, target], ["token", i].
  const choices = {
    "window-fragmentation": (point) => ["span", point.pointIndex],
    "state-map": (point) => ["token", point.customdata[0] ?? point.customdata],
    "head-entropy": (point) => ["head", [point.pointIndex[1], point.pointIndex[0]]],
  };

  function chosen(id, point) {
    if (choices[id]) return choices[id](point);
    const said = point.customdata;
    if (!Array.isArray(said)) return null;
    if (said[0] === "node") return ["select", said.slice(0, 3)];
    if (said[0] === "link") return ["select", said.slice(0, 4)];
    if (said[0] === "token") return ["token", said[1]];
    return null;
  }

  // What is selected, as the address has it, such as "node.2.5".
  let selected = null;

  // The token flow is not drawn anew when something in it is selected: its mark is set here.
  function mark(graph) {
    for (const part of graph.querySelectorAll(".sankey-node, .sankey-link")) {
      const drawn = part.__data__ && (part.__data__.node || part.__data__.link);
      const said = drawn && drawn.customdata;
      const own = said && (said[0] === "node" ? said.slice(0, 3) : said.slice(0, 4)).join(".");
      part.classList.toggle("cf-selected", selected !== null && own === selected);
    }
  }

  function listen(id, graph) {
    if (graph.dataset.cfListens) return;
    graph.dataset.cfListens = "true";
    if (graph.querySelector(".sankey")) {
      graph.on("plotly_afterplot", () => mark(graph));
      mark(graph);
    }
    graph.on("plotly_click", (event) => {
      const point = event.points && event.points[0];
      const choice = point && chosen(id, point);
      if (choice) tell(choice[0], choice[1]);
    });
  }

  // A table that is not on the page yet, or not ready, will ask for its rows anyway.
  function purge(id) {
    if (!window.dash_ag_grid || !document.getElementById(id)) return;
    try {
      window.dash_ag_grid.getApi(id).purgeInfiniteCache();
    } catch {
      return;
    }
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.figures = {
    // Runs whenever a figure changed; Plotly may still be loading by then.
    listen: function (_children, id) {
      const attach = (attempts) => {
        const graph = document.querySelector(`#${id} .js-plotly-plot`);
        if (graph && graph.on) listen(id, graph);
        else if (attempts > 0) setTimeout(() => attach(attempts - 1), 100);
      };
      attach(100);
    },

    // Runs whenever the view has changed.
    mark: function (parts) {
      selected = parts && new URLSearchParams(parts.queries.selection).get("s");
      document.querySelectorAll(".js-plotly-plot:has(.sankey)").forEach(mark);
    },

    // The rows that the table holds belong to the old columns, or to what the store held.
    refetch: (_columns, id) => purge(id),
    refetch_library: () => purge("library-grid"),
  };

  // A picture in a table; a row that is on its way has none yet.
  window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {};
  window.dashAgGridComponentFunctions.CfThumbnail = (cell) =>
    cell.value
      ? window.React.createElement("img", {
          src: cell.value,
          alt: `Token flow of ${cell.data.name}`,
          className: "cf-thumbnail",
        })
      : null;

  // A cluster in its colour; of two matched clusters there may be one only.
  window.dashAgGridComponentFunctions.CfCluster = (cell) => {
    const field = cell.colDef.field;
    if (typeof cell.value !== "number") return "none";
    const style = { background: cell.data[`${field}_colour`], color: cell.data[`${field}_text`] };
    return window.React.createElement("span", { className: "cf-step", style: style }, cell.value);
  };

  window.dashAgGridFunctions = window.dashAgGridFunctions || {};
  window.dashAgGridFunctions.cfDecimals = (value) =>
    typeof value === "number" ? value.toFixed(3) : "–";
  // A row that is on its way has no values yet.
  window.dashAgGridFunctions.cfCount = (value) =>
    typeof value === "number" ? value.toLocaleString("en") : "";
  window.dashAgGridFunctions.cfBytes = (value) => {
    if (typeof value !== "number") return "";
    const power = value < 1e6 ? 1 : value < 1e9 ? 2 : 3;
    const number = value / 1000 ** power;
    return `${number.toFixed(number < 100 ? 1 : 0)} ${["kB", "MB", "GB"][power - 1]}`;
  };
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

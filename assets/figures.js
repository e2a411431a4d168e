// What Plotly and AG Grid need from the browser's side: clicks in figures, and a table theme that
// follows the page's colours.

(function () {
  "use strict";

  // Dash passes on neither whether a click hit a cluster or a band, nor their customdata; Plotly
  // knows both. A figure's element stays the same when the figure changes, so one listener does.
  // The places of points say nothing here: a figure may draw some layers, heads or tokens only, and
  // in another order. In a figure that is `keyed` (components/figures/theme.py), the customdata of a
  // point begins with a key that names what is chosen, by ids that mean the same everywhere.
  const KEYS = {
    node: { length: 3, gesture: (key) => ["select", key] }, // labelled layer, cluster
    link: { length: 4, gesture: (key) => ["select", key] }, // labelled layer, source, target
    token: { length: 2, gesture: (key) => key }, // index
    span: { length: 3, gesture: ([kind, ...ends]) => [kind, ends] }, // labelled layers
    head: { length: 3, gesture: ([kind, ...head]) => [kind, head] }, // declared layer, head
  };

  // Where no key says more, a click chooses the layer at which the point is.
  function chosen(point, graph) {
    const key = keyIn(point.customdata, graph);
    if (key) return KEYS[key[0]].gesture(key);
    const layers = layersOf(graph);
    const name = layers.x ? layers.x[point.x] : layers.y && layers.y[point.y];
    return name === undefined ? null : ["layer", name];
  }

  function keyIn(customdata, graph) {
    const { keyed } = graph.layout.meta || {};
    if (keyed === "token") return ["token", customdata[0] ?? customdata];
    if (!keyed || !Array.isArray(customdata) || !Object.hasOwn(KEYS, customdata[0])) return null;
    return customdata.slice(0, KEYS[customdata[0]].length);
  }

  // The names of the layers that stand at 0, 1, 2, ... of an axis, by axis.
  function layersOf(graph) {
    return (graph.layout.meta && graph.layout.meta.layers) || {};
  }

  // A figure is not drawn anew when something in it is selected: its mark is set here.
  function mark(graph) {
    for (const part of graph.querySelectorAll(".sankey-node, .sankey-link, .bars .point")) {
      const { cluster } = window.cfSelection;
      part.classList.toggle("cf-selected", cluster !== null && keyOf(part, graph) === cluster);
    }
    frameLayer(graph);
  }

  function keyOf(part, graph) {
    const drawn = part.__data__;
    if (!drawn) return null;
    const flow = drawn.node || drawn.link;
    if (flow) return (keyIn(flow.customdata, graph) || []).join(".");
    const [first] = part.closest(".trace").__data__;
    return (keyIn((first.trace.customdata || [])[drawn.i], graph) || []).join(".");
  }

  const FRAME = "cf-layer";

  function frameLayer(graph) {
    const frames = Object.entries(layersOf(graph)).flatMap(([axis, names]) => {
      const place = names.indexOf(window.cfSelection.layer);
      return place < 0 ? [] : [frame(axis, place)];
    });
    const shapes = graph.layout.shapes || [];
    const others = shapes.filter((shape) => shape.name !== FRAME);
    const old = shapes.filter((shape) => shape.name === FRAME);
    if (JSON.stringify(old) === JSON.stringify(frames)) return;
    window.Plotly.relayout(graph, { shapes: others.concat(frames) });
  }

  function frame(axis, place) {
    const style = getComputedStyle(document.documentElement);
    const other = axis === "x" ? "y" : "x";
    return {
      name: FRAME,
      type: "rect",
      [`${axis}ref`]: axis,
      [`${axis}0`]: place - 0.5,
      [`${axis}1`]: place + 0.5,
      [`${other}ref`]: "paper",
      [`${other}0`]: 0,
      [`${other}1`]: 1,
      line: { color: style.getPropertyValue("--cf-accent").trim(), width: 1.5 },
    };
  }

  // Where each figure was zoomed to. A figure that is drawn anew of the same data goes back there.
  const zoomed = new Map();

  function keepZoom(id, graph) {
    if (!graph.layout.meta || !graph.layout.meta.zooms) return;
    const kept = zoomed.get(id);
    if (kept && kept.of === graph.layout.meta.zooms) {
      window.Plotly.relayout(graph, { "xaxis.range": kept.x, "yaxis.range": kept.y });
    }
    graph.on("plotly_relayout", (change) => {
      if (!Object.keys(change).some((key) => /^[xy]axis/.test(key))) return;
      const { meta, xaxis, yaxis } = graph.layout;
      zoomed.set(id, { of: meta.zooms, x: [...xaxis.range], y: [...yaxis.range] });
    });
  }

  function listen(id, graph) {
    if (graph.dataset.cfListens) return;
    graph.dataset.cfListens = "true";
    keepZoom(id, graph);
    graph.on("plotly_afterplot", () => mark(graph));
    mark(graph);
    graph.on("plotly_click", (event) => {
      const point = event.points && event.points[0];
      const choice = point && chosen(point, graph);
      if (choice) window.dash_clientside.gestures.tell(choice[0], choice[1]);
    });
  }

  document.addEventListener("cf-selection", () => {
    document.querySelectorAll("[data-cf-listens]").forEach(mark);
  });

  // Why there is no figure in a place (components/parts.py, `empty_state`); null where there is one.
  function sentenceIn(place) {
    if (!place || place.props.className !== "cf-empty") return null;
    return place.props.children[1].props.children;
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

    // Whether all figures of a section say the same of what they lack: one does for all of them.
    say_once: function (...places) {
      const said = new Set(places.map(sentenceIn));
      return said.size === 1 && !said.has(null) ? "cf-section cf-lacking" : "cf-section";
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

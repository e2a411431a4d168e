// Figures are ordered a few at a time, those in sight first: what a person looks at must not wait for
// what is further down.

(function () {
  "use strict";

  const AT_ONCE = 4;
  // Dash says that a figure is being computed in the same moment, or it asked for nothing.
  const MOST_SILENT_MS = 250;

  const told = new Map(); // The last order of each figure.
  const waiting = new Map(); // Orders that nobody has been told yet.
  const under = new Set(); // Figures whose answer is on its way.
  let due = false;

  function busy(id, value) {
    const place = document.getElementById(id);
    if (place) place.setAttribute("aria-busy", String(value));
  }

  function isComputed(id) {
    const place = document.getElementById(id);
    return place !== null && place.dataset.dashIsLoading === "true";
  }

  // How far a figure is out of sight, then how far down the page; what is no more than a choice has
  // no place of its own.
  function distance(id) {
    const place = document.getElementById(id);
    if (!place) return [0, 0];
    const box = place.getBoundingClientRect();
    return [Math.max(box.top - window.innerHeight, -box.bottom, 0), box.top];
  }

  function nearestFirst() {
    return [...waiting.keys()]
      .map((id) => [id, ...distance(id)])
      .sort((one, other) => one[1] - other[1] || one[2] - other[2])
      .map(([id]) => id);
  }

  function tell() {
    due = false;
    for (const id of nearestFirst().slice(0, AT_ONCE - under.size)) {
      const order = { ...waiting.get(id), first: !told.has(id) };
      waiting.delete(id);
      told.set(id, order);
      under.add(id);
      window.dash_clientside.set_props({ type: "figure-view", index: id }, { data: order });
      setTimeout(() => isComputed(id) || arrived(id), MOST_SILENT_MS);
    }
  }

  // A section that is shown from now on has its place a moment later.
  function tellSoon() {
    if (due || waiting.size === 0 || under.size >= AT_ONCE) return;
    due = true;
    setTimeout(tell);
  }

  function arrived(id) {
    if (!under.delete(id)) return;
    if (!waiting.has(id)) busy(id, false);
    tellSoon();
  }

  new MutationObserver((changes) => {
    for (const { target } of changes) if (!isComputed(target.id)) arrived(target.id);
  }).observe(document, {
    subtree: true,
    attributeFilter: ["data-dash-is-loading"],
  });

  function same(order, query, theme) {
    return order !== undefined && order.query === query && order.theme === theme;
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.orders = {
    // Has every figure that is shown drawn anew, unless it shows just that.
    dispatch: function (parts, theme, structure) {
      if (!parts || !theme) return;
      const shown = new Set(structure.tabs[parts.tab]);
      for (const [id, place] of Object.entries(structure.figures)) {
        const query = parts.queries[place.part];
        const isWanted = shown.has(place.section) && !same(told.get(id), query, theme);
        if (isWanted) waiting.set(id, { query: query, theme: theme });
        else waiting.delete(id);
        busy(id, isWanted || under.has(id));
      }
      tellSoon();
    },
  };
})();

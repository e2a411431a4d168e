// What is selected, for everything that marks it by itself instead of being drawn anew.

(function () {
  "use strict";

  // The cluster or band as the address has it, such as "node.2.5"; the layer by its name.
  window.cfSelection = { cluster: null, layer: null, tokens: new Set() };

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.selection = {
    // Runs whenever the view has changed.
    follow: function (parts) {
      if (!parts) return;
      const tokens = new URLSearchParams(parts.queries.tokens).get("t");
      window.cfSelection = {
        cluster: new URLSearchParams(parts.queries.selection).get("s"),
        layer: parts.layer,
        tokens: new Set(tokens ? tokens.split(".").map(Number) : []),
      };
      window.cfFileStem = parts.file;
      document.dispatchEvent(new Event("cf-selection"));
    },
  };
})();

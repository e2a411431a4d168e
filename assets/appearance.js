// Light or dark: what the person chose, else what the system asks for.

(function () {
  "use strict";

  const KEY = "concept-fragmentation-theme";
  const system = window.matchMedia("(prefers-color-scheme: dark)");

  function stored() {
    const theme = window.localStorage.getItem(KEY);
    return theme === "light" || theme === "dark" ? theme : null;
  }

  function apply() {
    const theme = stored() || (system.matches ? "dark" : "light");
    document.documentElement.dataset.bsTheme = theme;
    return theme;
  }

  system.addEventListener("change", () => {
    if (stored() === null) window.dash_clientside.set_props("theme", { data: apply() });
  });

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.appearance = {
    theme: function (clicks) {
      if (clicks) {
        const next = apply() === "dark" ? "light" : "dark";
        window.localStorage.setItem(KEY, next);
      }
      return apply();
    },
  };

  apply();
})();

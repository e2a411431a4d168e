// The form of Analyze, which survives a reload: a pasted text is not to be lost with the page.

(function () {
  "use strict";

  const PAUSE_MS = 300;
  const key = () => `concept-fragmentation form ${window.location.pathname}`;

  let waiting = null; // The values to keep, and the timer after which they are kept.
  let restored = false;

  function stored() {
    try {
      return JSON.parse(window.sessionStorage.getItem(key())) || {};
    } catch {
      return {};
    }
  }

  function store() {
    if (!waiting) return;
    clearTimeout(waiting.timer);
    try {
      window.sessionStorage.setItem(key(), JSON.stringify(waiting.values));
    } catch {
      // It is longer than what a browser keeps: half of what it was would mislead.
      window.sessionStorage.removeItem(key());
    }
    waiting = null;
  }

  function keep(values) {
    if (waiting) clearTimeout(waiting.timer);
    waiting = { values: values, timer: setTimeout(store, PAUSE_MS) };
  }

  window.addEventListener("pagehide", store);

  // The next one to sign in may be somebody else.
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form[action='sign-out']")) return;
    waiting = null;
    for (const name of Object.keys(window.sessionStorage)) window.sessionStorage.removeItem(name);
  });

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.analyze = {
    hide_unless_words: (reading) => reading !== "words",

    // Keeps the form; of a page that was just loaded, fills it in as it was.
    keep: function () {
      const values = window.dash_clientside.callback_context.inputs;
      if (restored) return keep(values);
      restored = true;
      const before = stored();
      for (const [place, value] of Object.entries(before)) {
        const dot = place.lastIndexOf(".");
        if (place in values && value !== values[place] && value !== null) {
          window.dash_clientside.set_props(place.slice(0, dot), { [place.slice(dot + 1)]: value });
        }
      }
    },
  };
})();

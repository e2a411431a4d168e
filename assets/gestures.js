// Clicks on tabs, quick choices and archetypal paths, handed to the one callback that decides what is
// shown. Done here because a button that has just been drawn must not count as clicked.

(function () {
  "use strict";

  let gestures = 0;

  function gesture(kind, value) {
    gestures += 1;
    return { kind: kind, value: value, n: `${kind}-${gestures}` };
  }

  function clicked() {
    const context = window.dash_clientside.callback_context;
    const hit = context.triggered.find((trigger) => trigger.value);
    return hit ? context.triggered_id.index : null;
  }

  function choose(kind) {
    return function () {
      const index = clicked();
      return index === null ? window.dash_clientside.no_update : gesture(kind, index);
    };
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.gestures = {
    // For what is no component, such as a point of a figure or a token in a list.
    tell: function (kind, value) {
      window.dash_clientside.set_props("gesture", { data: gesture(kind, value) });
    },
    quick_window: choose("window"),
    open_tab: choose("tab"),
    toggle_path: choose("path"),
    clear: function (clicks) {
      return clicks ? gesture("clear", null) : window.dash_clientside.no_update;
    },
  };
})();

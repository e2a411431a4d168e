// Clicks on tabs, quick choices and archetypal paths, handed to the one callback that decides what is
// shown. Done here because a button that has just been drawn must not count as clicked.

(function () {
  "use strict";

  let gestures = 0;
  let pending = [];

  // All that the server has not answered yet: Dash drops an answer when the next question is asked
  // before it is there, and nothing that a person did may be lost with it.
  function gesture(kind, value) {
    gestures += 1;
    pending = [...pending, { kind: kind, value: value, n: gestures }];
    return pending;
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
      window.dash_clientside.set_props("gestures", { data: gesture(kind, value) });
    },
    done: function (last) {
      pending = pending.filter((one) => one.n > last);
    },
    quick_window: choose("window"),
    open_tab: choose("tab"),
    toggle_path: choose("path"),
    clear: function (clicks) {
      return clicks ? gesture("clear", null) : window.dash_clientside.no_update;
    },
  };
})();

// What the page does when work in the background is done.

(function () {
  "use strict";

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.runs = {
    deliver: function (outcome, id) {
      if (outcome) window.dash_clientside.set_props(id, { data: outcome });
    },

    // Takes a file that is ready.
    take: function (ready) {
      if (!ready || !ready.file) return;
      const link = document.createElement("a");
      link.href = ready.file;
      link.download = "";
      document.body.append(link);
      link.click();
      link.remove();
    },

    // Asks for what a figure needs, unless just that is being made.
    ask: function (wanted, asked, done) {
      const same = wanted && asked && asked.what === wanted.what;
      return !wanted || (same && !done) ? window.dash_clientside.no_update : wanted;
    },

    // Lets a figure be drawn of what it wanted and what is ready now.
    draw: function (ready, wanted, order) {
      if (!ready || !wanted || !order || ready.what !== wanted.what) {
        return window.dash_clientside.no_update;
      }
      return { ...order, made: ready.key };
    },

    // Goes back to what takes no time.
    leave: function (clicks) {
      return clicks ? "pca" : window.dash_clientside.no_update;
    },
  };
})();

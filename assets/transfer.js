// An export that takes a while says what is being written, not what was written before.

(function () {
  "use strict";

  const NAMES = { json: "JSON", csv: "CSV", pickle: "Pickle" };

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.transfer = {
    writing: function (clicks, format) {
      return clicks ? `Writing ${NAMES[format]} …` : window.dash_clientside.no_update;
    },
  };
})();

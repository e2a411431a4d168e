// A click on a row of the library opens its analysis.

(function () {
  "use strict";

  // A double click edits a cell, and its first click must not open the row.
  const DOUBLE_CLICK_MS = 300;
  const SELECTION_COLUMN = "ag-Grid-SelectionColumn";

  let doubleClicked = 0;
  document.addEventListener("dblclick", () => (doubleClicked = Date.now()), true);

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.library = {
    open_row: function (clicked) {
      const unchanged = window.dash_clientside.no_update;
      if (!clicked || clicked.colId === SELECTION_COLUMN || !clicked.rowId) return unchanged;
      return new Promise((resolve) => {
        setTimeout(() => {
          const edited = Date.now() - doubleClicked < 2 * DOUBLE_CLICK_MS;
          resolve(edited ? unchanged : { id: clicked.rowId, key: clicked.timestamp });
        }, DOUBLE_CLICK_MS);
      });
    },
  };
})();

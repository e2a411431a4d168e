// What of the page is shown: the sections of the tab.

(function () {
  "use strict";

  // Without a secure context there is no clipboard: an old way that still works, from within the
  // dialog that has the focus, if there is one.
  function copied(text) {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const field = document.createElement("textarea");
    field.value = text;
    document.activeElement.parentElement.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done ? Promise.resolve() : Promise.reject(new Error("copying is not allowed"));
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.view = {
    show: function (parts, structure, sections, tabs) {
      const unchanged = window.dash_clientside.no_update;
      if (!parts) return [sections.map(() => unchanged), tabs.map(() => unchanged)];
      const shown = new Set(structure.tabs[parts.tab]);
      // On a narrow page the row of tabs is wider than the page.
      const row = document.querySelector(".cf-view-tabs");
      const tab = row.children[tabs.findIndex((id) => id.index === parts.tab)];
      row.scrollLeft = tab.offsetLeft - row.offsetLeft - (row.clientWidth - tab.offsetWidth) / 2;
      return [
        sections.map((id) => !shown.has(id.index)),
        tabs.map((id) => (id.index === parts.tab ? "page" : "false")),
      ];
    },

    copy: function (clicks) {
      if (!clicks) return window.dash_clientside.no_update;
      return copied(window.location.href).then(
        () => "Link copied",
        () => "Copy it from the address bar",
      );
    },

    copy_code: function (clicks, code) {
      if (!clicks) return window.dash_clientside.no_update;
      return copied(code).then(
        () => "Copied",
        () => "Select it and copy it by hand",
      );
    },
  };
})();

// What of the page is shown: the sections of the tab, and what each of their figures must draw.

(function () {
  "use strict";

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.view = {
    // Tells every figure that is shown what to draw, unless it has drawn just that.
    dispatch: function (parts, theme, structure, ids, drawn) {
      const unchanged = window.dash_clientside.no_update;
      if (!parts || !theme) return ids.map(() => unchanged);
      const shown = new Set(structure.tabs[parts.tab]);
      return ids.map((id, i) => {
        const place = structure.figures[id.index];
        if (!shown.has(place.section)) return unchanged;
        const query = parts.queries[place.part];
        const old = drawn[i];
        if (old && old.query === query && old.theme === theme) return unchanged;
        return { query: query, theme: theme, first: !old };
      });
    },

    show: function (parts, structure, sections, tabs) {
      const unchanged = window.dash_clientside.no_update;
      if (!parts) return [sections.map(() => unchanged), tabs.map(() => unchanged)];
      const shown = new Set(structure.tabs[parts.tab]);
      return [
        sections.map((id) => !shown.has(id.index)),
        tabs.map((id) => (id.index === parts.tab ? "page" : "false")),
      ];
    },

    copy: function (clicks) {
      const unchanged = window.dash_clientside.no_update;
      if (!clicks) return unchanged;
      // Without a secure context there is no clipboard: an old way that still works.
      const copied = navigator.clipboard
        ? navigator.clipboard.writeText(window.location.href)
        : new Promise((done, failed) => {
            const field = document.createElement("textarea");
            field.value = window.location.href;
            document.body.append(field);
            field.select();
            document.execCommand("copy") ? done() : failed();
            field.remove();
          });
      return copied.then(
        () => "Link copied",
        () => "Copy it from the address bar",
      );
    },
  };
})();

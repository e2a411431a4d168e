// Writes lists of tokens into what holds them as data; see components/token_chips.py.

(function () {
  "use strict";

  function write(list) {
    if (list.cfWritten === list.dataset.tokens) return;
    list.cfWritten = list.dataset.tokens;
    list.replaceChildren(
      ...JSON.parse(list.dataset.tokens).map(([text, position, said]) => {
        const chip = document.createElement("span");
        chip.className = "cf-token";
        chip.setAttribute("role", "listitem");
        chip.title = said;
        const place = document.createElement("small");
        place.textContent = ` ${position}`;
        chip.append(text, place);
        return chip;
      }),
    );
  }

  function writeAll(holder) {
    holder.querySelectorAll("[data-tokens]").forEach(write);
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.tokens = {
    // Runs whenever what the element holds was told to change; React may change it later.
    watch: function (_children, id) {
      const holder = document.getElementById(id);
      if (!holder) return;
      writeAll(holder);
      if (holder.cfWatched) return;
      holder.cfWatched = true;
      new MutationObserver(() => writeAll(holder)).observe(holder, {
        attributeFilter: ["data-tokens"],
        childList: true,
        subtree: true,
      });
    },
  };
})();

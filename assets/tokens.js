// Writes tokens and the steps of paths into what holds them as data; see components/token_chips.py.

(function () {
  "use strict";

  function chip([text, position, said]) {
    const chip = document.createElement("span");
    chip.className = "cf-token";
    chip.setAttribute("role", "listitem");
    chip.title = said;
    const place = document.createElement("small");
    place.textContent = ` ${position}`;
    chip.append(text, place);
    return chip;
  }

  function step([text, background, colour]) {
    const step = document.createElement("span");
    step.className = "cf-step";
    step.style.background = background;
    step.style.color = colour;
    step.textContent = text;
    return step;
  }

  function write(list, given, item) {
    if (list.cfWritten === given) return;
    list.cfWritten = given;
    list.replaceChildren(...JSON.parse(given).map(item));
  }

  function writeAll(holder) {
    for (const list of holder.querySelectorAll("[data-tokens]")) {
      write(list, list.dataset.tokens, chip);
    }
    for (const list of holder.querySelectorAll("[data-steps]")) {
      write(list, list.dataset.steps, step);
    }
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
        attributeFilter: ["data-tokens", "data-steps"],
        childList: true,
        subtree: true,
      });
    },
  };
})();

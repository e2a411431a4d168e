// Tokens to click: those in lists and the steps of paths, written into what holds them as data (see
// components/token_chips.py), and the rows of the table of token paths.

(function () {
  "use strict";

  function chip([index, text, position, said], i) {
    const chip = document.createElement("button");
    chip.type = "button";
    chip.className = "cf-token";
    chip.dataset.token = index;
    chip.title = said;
    // Of hundreds only one is in the order of the keyboard; arrows go on from there.
    chip.tabIndex = i ? -1 : 0;
    const place = document.createElement("small");
    place.textContent = ` ${position}`;
    chip.append(text, place);
    mark(chip);
    return chip;
  }

  function highlighted(token) {
    return window.cfSelection.tokens.has(Number(token));
  }

  function mark(chip) {
    chip.setAttribute("aria-pressed", String(highlighted(chip.dataset.token)));
  }

  document.addEventListener("cf-selection", () => {
    document.querySelectorAll("[data-tokens] > .cf-token").forEach(mark);
    const table = document.getElementById("token-paths-grid");
    if (table && table.querySelector(".ag-row")) {
      window.dash_ag_grid.getApi(table.id).redrawRows();
    }
  });

  function toggle(element) {
    const row = element.closest("#token-paths-grid .ag-row[row-id]");
    const token = row ? row.getAttribute("row-id") : element.closest(".cf-token")?.dataset.token;
    if (token !== undefined) window.dash_clientside.gestures.tell("token", Number(token));
  }

  // Paths beside the members of another; the archetypal ones have ids, which Dash listens to.
  document.addEventListener("click", (event) => {
    const path = event.target.closest("[data-path]");
    if (path) window.dash_clientside.gestures.tell("path", path.dataset.path);
  });

  document.addEventListener("click", (event) => {
    // Who marks text to copy it has not clicked.
    if (!String(window.getSelection())) toggle(event.target);
  });

  document.addEventListener("keydown", (event) => {
    const cell = event.target.closest && event.target.closest("#token-paths-grid .ag-cell");
    if (cell && event.key === "Enter") toggle(cell);
    const chip = event.target.closest && event.target.closest(".cf-token");
    if (!chip) return;
    const all = [...chip.parentElement.children];
    const here = all.indexOf(chip);
    const next = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: all.length - 1 }[event.key];
    if (next === undefined || !all[next]) return;
    event.preventDefault();
    chip.tabIndex = -1;
    all[next].tabIndex = 0;
    all[next].focus();
  });

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

  window.dashAgGridFunctions = window.dashAgGridFunctions || {};
  window.dashAgGridFunctions.cfHighlighted = (row) =>
    Boolean(row) && highlighted(row.token);

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

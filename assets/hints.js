// Shows one hint at a time beside what it speaks of, until it is tried or dismissed; each once.

(function () {
  "use strict";

  const KEY = "concept-fragmentation-hints";
  let view = null;

  function done() {
    try {
      return new Set(JSON.parse(window.localStorage.getItem(KEY)) || []);
    } catch {
      return new Set();
    }
  }

  function dismiss(bubbles) {
    const all = done();
    bubbles.forEach((bubble) => all.add(bubble.dataset.target));
    window.localStorage.setItem(KEY, JSON.stringify([...all]));
    show();
  }

  function all() {
    return [...document.querySelectorAll(".cf-hint-bubble")];
  }

  function place(bubble, target) {
    const at = target.getBoundingClientRect();
    const width = Math.min(280, document.documentElement.clientWidth - 32);
    const middle = at.left + 0.6 * at.width;
    const left = Math.max(16, Math.min(middle - width / 2, window.innerWidth - width - 16));
    bubble.style.width = `${width}px`;
    bubble.style.left = `${left + window.scrollX}px`;
    bubble.style.setProperty("--cf-arrow", `${Math.max(14, Math.min(middle - left, width - 14))}px`);
    bubble.style.top = `${at.top + window.scrollY - bubble.offsetHeight - 10}px`;
  }

  function show() {
    const params = new URLSearchParams(view || "");
    const isDemo = view !== null && !params.has("a") && !params.has("d") && !params.has("tab");
    const gone = done();
    let shown = false;
    for (const bubble of all()) {
      const target = document.getElementById(bubble.dataset.target);
      const due = isDemo && !shown && !gone.has(bubble.dataset.target);
      bubble.hidden = !(due && target && target.offsetParent);
      if (bubble.hidden) continue;
      shown = true;
      place(bubble, target);
    }
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.hints = {
    // Runs whenever the view has changed; what a person has done needs no hint any more.
    follow: function (query) {
      const before = view;
      view = query;
      if (before === null) {
        new ResizeObserver(show).observe(document.querySelector("main"));
      } else if (query) {
        const [old, now] = [new URLSearchParams(before), new URLSearchParams(query)];
        const tried = all().filter(({ dataset: { sign } }) => old.get(sign) !== now.get(sign));
        if (tried.length) return dismiss(tried);
      }
      show();
    },
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-dismissed]");
    if (!button) return;
    dismiss(button.dataset.dismissed === "all" ? all() : [button.closest(".cf-hint-bubble")]);
  });
})();

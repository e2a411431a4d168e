// The two tabs on top, as WAI-ARIA has tabs: one is in the order of the keyboard, arrows go on.

(function () {
  "use strict";

  function open(tab) {
    for (const other of tab.parentElement.querySelectorAll("[role=tab]")) {
      const chosen = other === tab;
      other.setAttribute("aria-selected", String(chosen));
      other.tabIndex = chosen ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")).hidden = !chosen;
    }
    // Figures that were hidden have missed changes of the window's size.
    window.dispatchEvent(new Event("resize"));
  }

  document.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tablist] > [role=tab]");
    if (tab) open(tab);
  });

  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest && event.target.closest("[role=tablist] > [role=tab]");
    if (!tab) return;
    const tabs = [...tab.parentElement.querySelectorAll("[role=tab]")];
    const last = tabs.length - 1;
    const here = tabs.indexOf(tab);
    const next = {
      ArrowLeft: here ? here - 1 : last,
      ArrowRight: here < last ? here + 1 : 0,
      Home: 0,
      End: last,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    tabs[next].focus();
    open(tabs[next]);
  });
})();

// A button that is pressed twice in a row does its work once. Dash disables it while the work goes
// on, but only a moment after the first press.

(function () {
  "use strict";

  const MOMENT_MS = 400;
  const pressed = new WeakMap();

  document.addEventListener(
    "click",
    (event) => {
      const button = event.target.closest && event.target.closest("button.btn");
      if (!button) return;
      if (event.timeStamp - (pressed.get(button) ?? -MOMENT_MS) < MOMENT_MS) {
        event.preventDefault();
        event.stopImmediatePropagation();
        return;
      }
      pressed.set(button, event.timeStamp);
    },
    true,
  );
})();

// What Dash's components lack for who uses a keyboard or a screen reader: the button of a dropdown can
// be reached itself, not through a hidden field, and the field of an upload says what it is for.

(function () {
  "use strict";

  // Collections that follow the page, so that asking them again costs next to nothing.
  const hidden = document.getElementsByClassName("dash-dropdown-focus-target");
  const uploads = document.getElementsByClassName("cf-upload");

  function repair() {
    for (const field of hidden) {
      if (field.tabIndex === -1) continue;
      field.tabIndex = -1;
      if (field.nextElementSibling) field.nextElementSibling.tabIndex = 0;
    }
    for (const upload of uploads) {
      const field = upload.querySelector("input[type=file]");
      if (field && !field.ariaLabel) field.ariaLabel = upload.innerText;
    }
  }

  new MutationObserver(repair).observe(document, { childList: true, subtree: true });
  // A dropdown gives the hidden field back its place whenever its button is left.
  document.addEventListener("focusout", () => setTimeout(repair));
})();

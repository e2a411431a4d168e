// Files that are too large for the page are not sent; the server says why, since it words all
// messages.

(function () {
  "use strict";

  function check(event) {
    const place = event.target.closest && event.target.closest("[data-max-bytes]");
    const files = (event.dataTransfer || event.target).files;
    if (!place || !files) return;
    const file = [...files].find((one) => one.size > Number(place.dataset.maxBytes));
    if (file) window.dash_clientside.set_props("upload-refused", { data: file.name });
  }

  document.addEventListener("drop", check, true);
  document.addEventListener("change", check, true);
})();

// Addresses of the page are relative to where it is, which ends with a slash. A proxy that takes the
// path away may have passed on one without.
(() => {
  const { pathname, search, hash } = window.location;
  if (!pathname.endsWith("/")) {
    window.history.replaceState(window.history.state, "", `${pathname}/${search}${hash}`);
  }
})();

// What the page does where the server does not answer: it asks again for what runs in the
// background, and says so. Dash gives up at the first request that fails, and then leaves buttons
// disabled as if the work went on.

(function () {
  "use strict";

  const RETRY_MS = 1000;
  const ANSWER_MS = 30000;
  const UPDATE = "_dash-update-component";
  // What a proxy answers while there is no server behind it.
  const NO_SERVER = new Set([502, 503, 504]);

  const send = window.fetch;
  const cancelled = new Set(); // Jobs; a person no longer waits for these.
  const silent = new Set(); // Jobs whose server does not answer.
  let leaving = false;

  window.addEventListener("pagehide", () => {
    leaving = true;
  });
  window.addEventListener("pageshow", () => {
    leaving = false;
  });

  function show(id) {
    if (!leaving) window.dash_clientside.set_props(id, { is_open: true });
  }

  function isSilent(job, value) {
    if (silent.has(job) === value) return;
    if (value) silent.add(job);
    else silent.delete(job);
    window.dash_clientside.set_props("server-silent", { hidden: silent.size === 0 });
  }

  // Ends a callback, and whatever is shown while it runs, without changing anything.
  function nothing() {
    return new Response(null, { status: 204 });
  }

  async function answer(url, options) {
    try {
      const response = await send(url, options);
      return NO_SERVER.has(response.status) ? null : response;
    } catch (error) {
      if (leaving) throw error;
      return null;
    }
  }

  // The whole answer of a request that takes no time, or null.
  async function shortAnswer(url, options) {
    const response = await answer(url, { ...options, signal: AbortSignal.timeout(ANSWER_MS) });
    if (response === null || response.status === 204) return response;
    try {
      const { status, headers } = response;
      return new Response(await response.text(), { status, headers });
    } catch (error) {
      if (leaving) throw error;
      return null;
    }
  }

  async function untilAnswered(url, options, job, isOver) {
    const tries = Number(document.getElementById("server-silent").dataset.tries);
    for (let tried = 1; tried <= tries; tried++) {
      const response = await shortAnswer(url, options);
      if (response !== null || isOver()) return response;
      if (job !== null) isSilent(job, true);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      if (isOver()) return null;
    }
    return null;
  }

  // How far a run is, or what came of it.
  async function poll(url, options, job) {
    const response = await untilAnswered(url, options, job, () => cancelled.has(job));
    isSilent(job, false);
    if (cancelled.has(job)) return nothing();
    const type = response && response.headers.get("Content-Type");
    if (response && response.status === 200 && type.includes("json")) return response;
    show("run-lost");
    return nothing();
  }

  window.fetch = async function (url, options) {
    if (typeof url !== "string" || !url.includes(UPDATE)) return send(url, options);
    const asked = new URL(url, window.location.href).searchParams;
    const ends = asked.getAll("cancelJob");
    if (ends.length) {
      for (const job of ends) cancelled.add(job);
      // Where the server is out of reach, nobody has to wait until it knows.
      untilAnswered(url, options, null, () => false);
      return nothing();
    }
    if (asked.has("cacheKey")) return poll(url, options, asked.get("job"));
    const response = await answer(url, options);
    if (response !== null) return response;
    show("not-done");
    return nothing();
  };
})();

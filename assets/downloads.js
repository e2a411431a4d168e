// Taking figures away: the menus, the addresses of files that the server makes, and the images.

(function () {
  "use strict";

  // A figure is laid out at least this wide, whatever the screen; a PNG has this many pixels across:
  // 300 to an inch on a page of 30 cm.
  const LEAST_WIDTH = 720;
  const PNG_PIXELS = 3600;

  // As callbacks/downloads.py names the files that the server makes.
  function fileName(name) {
    return `${window.cfFileStem}-${name.replace(/^the /, "").replaceAll(" ", "-")}`;
  }

  function save(figure, name, format) {
    const graph = document.querySelector(`#${figure} .js-plotly-plot`);
    if (!graph) return;
    const width = Math.max(graph.clientWidth, LEAST_WIDTH);
    window.Plotly.downloadImage(graph, {
      format: format,
      filename: fileName(name),
      width: width,
      height: graph.clientHeight,
      scale: format === "png" ? PNG_PIXELS / width : 1,
    });
  }

  // What the page shows, and in which colours.
  function address(file) {
    return file + window.location.search;
  }

  let asked = 0;

  function entry(text, label, chosen) {
    const button = document.createElement("button");
    button.type = "button";
    button.addEventListener("click", chosen);
    return named(button, text, label);
  }

  function link(text, label, file) {
    const anchor = document.createElement("a");
    anchor.href = file;
    anchor.download = file.split("?")[0].split("/").pop();
    return named(anchor, text, label);
  }

  function named(element, text, label) {
    element.className = "cf-download";
    element.textContent = text;
    element.setAttribute("aria-label", label);
    return element;
  }

  function entries(figure, name) {
    const theme = document.documentElement.dataset.bsTheme;
    const page = address(`figure/${figure}.html`);
    const code = entry("Python code", `Show ${name} as Python code`, () => {
      asked += 1;
      window.dash_clientside.set_props("python-asked", { data: { figure: figure, n: asked } });
    });
    code.setAttribute("aria-haspopup", "dialog");
    return [
      ...["png", "svg"].map((format) => {
        const text = `${format.toUpperCase()} image`;
        return entry(text, `Download ${name} as ${text}`, () => save(figure, name, format));
      }),
      link(
        "Web page",
        `Download ${name} as web page`,
        `${page}${page.includes("?") ? "&" : "?"}theme=${theme}`,
      ),
      link("CSV data", `Download ${name} as CSV data`, address(`figure/${figure}.csv`)),
      code,
    ];
  }

  // Written when it is opened: it says what is shown now.
  document.addEventListener(
    "toggle",
    (event) => {
      const details = event.target;
      if (!details.matches(".cf-downloads")) return;
      for (const old of details.querySelectorAll(".cf-menu")) old.remove();
      if (!details.open) return;
      const menu = document.createElement("div");
      menu.className = "cf-menu";
      menu.append(...entries(details.dataset.figure, details.dataset.name));
      details.append(menu);
    },
    true,
  );

  // Links that stand on the page get their address when they are about to be followed.
  for (const kind of ["pointerdown", "focusin", "click"]) {
    document.addEventListener(kind, (event) => {
      const followed = event.target.closest("a[data-file]");
      if (followed) followed.href = address(followed.dataset.file);
    });
  }

  function close(menu, focus) {
    menu.open = false;
    if (focus) menu.querySelector("summary").focus();
  }

  function opened() {
    return document.querySelector("details:is(.cf-downloads, .cf-examples)[open]");
  }

  document.addEventListener("click", (event) => {
    const menu = opened();
    const chosen = event.target.closest(".cf-menu .cf-download");
    if (menu && (chosen || !menu.contains(event.target))) close(menu, Boolean(chosen));
  });

  document.addEventListener("focusin", (event) => {
    const menu = opened();
    if (menu && !menu.contains(event.target)) close(menu, false);
  });

  document.addEventListener("keydown", (event) => {
    const menu = opened();
    if (menu && event.key === "Escape") close(menu, true);
  });
})();

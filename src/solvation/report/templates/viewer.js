"use strict";
// Draws the structures of the page with Plotly: one mesh for each element, dashes to the donors.
// A browser holds few WebGL scenes at once, so a scene exists only while its card is near the window.
(() => {
  const data = JSON.parse(document.getElementById("structures-data").textContent);
  const context = (canvas) => canvas.getContext("webgl2") || canvas.getContext("webgl");
  // A scene that is taken down is freed at once: the browser would otherwise drop the oldest, which may be in sight.
  const lose = (canvas) => context(canvas)?.getExtension("WEBGL_lose_context")?.loseContext();
  const probe = document.createElement("canvas"), able = Boolean(context(probe));
  if (able) lose(probe);
  if (!able || !window.Plotly) { document.documentElement.dataset.viewer = "none"; return; }
  document.documentElement.dataset.viewer = "ready";

  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const SPHERE = sphere(12, 18);

  function sphere(rings, around) {
    const points = [[0, 0, 1]], faces = [];
    for (let i = 1; i < rings; i++) for (let j = 0; j < around; j++) {
      const a = Math.PI * i / rings, b = 2 * Math.PI * j / around;
      points.push([Math.sin(a) * Math.cos(b), Math.sin(a) * Math.sin(b), Math.cos(a)]);
    }
    points.push([0, 0, -1]);
    const at = (i, j) => 1 + (i - 1) * around + j % around, last = points.length - 1;
    for (let j = 0; j < around; j++) {
      faces.push([0, at(1, j), at(1, j + 1)], [last, at(rings - 1, j + 1), at(rings - 1, j)]);
      for (let i = 1; i < rings - 1; i++)
        faces.push([at(i, j), at(i + 1, j), at(i + 1, j + 1)], [at(i, j), at(i + 1, j + 1), at(i, j + 1)]);
    }
    return { points, faces };
  }

  function mesh(color) {
    return { type: "mesh3d", x: [], y: [], z: [], i: [], j: [], k: [], hovertext: [], color, hoverinfo: "text", showscale: false,
      flatshading: false, lighting: { ambient: 0.65, diffuse: 0.75, specular: 0.2, roughness: 0.5, fresnel: 0.1 },
      lightposition: { x: 2000, y: 3000, z: 10000 } };
  }

  function add(trace, points, faces, text) {
    const from = trace.x.length;
    for (const [x, y, z] of points) { trace.x.push(x); trace.y.push(y); trace.z.push(z); trace.hovertext.push(text); }
    for (const [a, b, c] of faces) { trace.i.push(from + a); trace.j.push(from + b); trace.k.push(from + c); }
  }

  function stick(a, b, radius, sides) {
    const axis = b.map((v, n) => v - a[n]), length = Math.hypot(...axis), w = axis.map((v) => v / length);
    const other = Math.abs(w[0]) < 0.9 ? [1, 0, 0] : [0, 1, 0];
    const cross = (p, q) => [p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]];
    let u = cross(w, other); const norm = Math.hypot(...u); u = u.map((v) => v / norm); const v = cross(w, u);
    const points = [], faces = [];
    for (let s = 0; s < sides; s++) {
      const c = radius * Math.cos(2 * Math.PI * s / sides), d = radius * Math.sin(2 * Math.PI * s / sides);
      for (const end of [a, b]) points.push(end.map((p, n) => p + c * u[n] + d * v[n]));
      const n = 2 * s, m = 2 * ((s + 1) % sides);
      faces.push([n, n + 1, m + 1], [n, m + 1, m]);
    }
    return [points, faces];
  }

  function traces(item, ink) {
    const meshes = {}, of = (symbol) => meshes[symbol] = meshes[symbol] || mesh(data.colours[symbol]);
    const near = {};
    for (const [ion, donor, distance] of item.contacts) {
      near[donor] = (near[donor] || "") + `<br>${distance.toFixed(2)} \u00c5 from ${item.symbols[ion]}`;
    }
    const words = item.symbols.map((symbol, n) => `<b>${symbol}${n + 1}</b> \u00b7 ${plain(item.molecules[item.fragment[n]])}${near[n] || ""}`);
    item.symbols.forEach((symbol, n) => {
      const r = data.radii[symbol], at = item.positions[n];
      add(of(symbol), SPHERE.points.map((p) => p.map((v, m) => at[m] + r * v)), SPHERE.faces, words[n]);
    });
    for (const [a, b] of item.bonds) {
      const middle = item.positions[a].map((v, m) => (v + item.positions[b][m]) / 2);
      for (const end of [a, b]) add(of(item.symbols[end]), ...stick(item.positions[end], middle, 0.09, 8), words[end]);
    }
    const dashes = { type: "scatter3d", mode: "lines", x: [], y: [], z: [], hoverinfo: "skip", line: { color: ink, width: 4, dash: "dash" } };
    for (const [ion, donor] of item.contacts) for (const [axis, n] of [["x", 0], ["y", 1], ["z", 2]])
      dashes[axis].push(item.positions[ion][n], item.positions[donor][n], null);
    return [...Object.values(meshes), dashes];
  }

  // Same scale on every axis; far away and large, so that near atoms do not look bigger than far ones.
  function ratio(item) {
    const size = [0, 1, 2].map((n) => {
      const reach = item.symbols.flatMap((symbol, m) => [item.positions[m][n] - data.radii[symbol], item.positions[m][n] + data.radii[symbol]]);
      return Math.max(...reach) - Math.min(...reach);
    });
    const unit = 4.1 / Math.hypot(...size);
    return { x: unit * size[0], y: unit * size[1], z: unit * size[2] };
  }

  function layout(item, ink, camera) {
    const hidden = { visible: false, showspikes: false };
    const annotations = item.contacts.map(([ion, donor, distance]) => {
      const at = item.positions[ion].map((v, n) => 0.45 * v + 0.55 * item.positions[donor][n]);
      return { x: at[0], y: at[1], z: at[2], text: distance.toFixed(2), showarrow: false, yshift: 9,
        font: { size: 12, color: ink, weight: 600 } };
    });
    return { margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: false, modebar: { bgcolor: "rgba(0,0,0,0)", color: ink, activecolor: ink }, paper_bgcolor: "rgba(0,0,0,0)", hoverlabel: { align: "left" },
      scene: { xaxis: hidden, yaxis: hidden, zaxis: hidden, aspectmode: "manual", aspectratio: ratio(item), dragmode: "orbit", camera, annotations,
        bgcolor: "rgba(0,0,0,0)" } };
  }

  // The side from which the distances to the donors hide each other least.
  function view(item) {
    const spots = item.contacts.map(([ion, donor]) => item.positions[ion].map((v, n) => 0.45 * v + 0.55 * item.positions[donor][n]));
    if (item.contacts.length) spots.push(item.positions[item.contacts[0][0]]);
    let best = { gap: -1, eye: [0.62, 0.62, 0.48] };
    for (let n = 0; n < 240; n++) {
      const z = 0.7 * (2 * (n + 0.5) / 240 - 1), a = n * Math.PI * (3 - Math.sqrt(5)), r = Math.sqrt(1 - z * z);
      const eye = [r * Math.cos(a), r * Math.sin(a), z];
      let gap = Infinity;
      for (let i = 0; i < spots.length; i++) for (let j = 0; j < i; j++) {
        const d = spots[i].map((v, m) => v - spots[j][m]), along = d[0] * eye[0] + d[1] * eye[1] + d[2] * eye[2];
        gap = Math.min(gap, Math.hypot(...d) ** 2 - along ** 2);
      }
      if (gap !== Infinity && gap > best.gap) best = { gap, eye };
    }
    const [x, y, z] = best.eye.map((v) => 4 * v);
    return { eye: { x, y, z }, up: { x: 0, y: 0, z: 1 } };
  }

  function describe(item) {
    const parts = [];
    if (item.denticity) parts.push(`bound through ${item.denticity}`);
    const energy = (value, level) => {
      if (value !== null) parts.push(value < 5e-4 ? `lowest at the ${level} level` : `${value.toFixed(3)} eV above the lowest at the ${level} level`);
    };
    energy(item.rank_eV, "judging"); energy(item.geometry_eV, "geometry");
    const lengths = item.contacts.map(([ion, donor, distance]) => `${item.symbols[ion]}\u2013${item.symbols[donor]} ${distance.toFixed(2)}`);
    parts.push(lengths.length ? `${lengths.join(", ")} \u00c5` : "no donor within the first shell");
    return parts.join(" \u00b7 ");
  }

  for (const card of document.querySelectorAll(".card[data-cluster]")) {
    const live = card.querySelector(".live"), choice = card.querySelector("select");
    const words = card.querySelector(".words"), items = data.clusters[card.dataset.cluster];
    let camera = view(items[0]), shown = false;
    const draw = () => {
      const item = items[choice ? Number(choice.value) : 0], ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
      words.textContent = describe(item);
      return Plotly.react(live, traces(item, ink), layout(item, ink, camera), { displaylogo: false, responsive: true, scrollZoom: true,
        modeBarButtons: [["resetCameraDefault3d", "toImage"]],
        toImageButtonOptions: { filename: `${card.dataset.cluster}_${item.name}`, scale: 3 } })
        .then(() => {
          if (!shown) live.on("plotly_relayout", (change) => { if (change["scene.camera"]) camera = change["scene.camera"]; });
          shown = true; card.classList.add("turning"); card.dataset.drawn = item.name;
        });
    };
    const release = () => {
      const canvases = [...live.querySelectorAll("canvas")];
      shown = false; card.classList.remove("turning"); delete card.dataset.drawn;
      Plotly.purge(live);
      canvases.forEach(lose);
    };
    const turn = (degrees) => {
      const { x, y, z } = camera.eye, a = degrees * Math.PI / 180;
      camera = { ...camera, eye: { x: x * Math.cos(a) - y * Math.sin(a), y: x * Math.sin(a) + y * Math.cos(a), z } };
      if (shown) Plotly.relayout(live, { "scene.camera": camera });
    };
    if (choice) choice.addEventListener("change", draw);
    for (const button of card.querySelectorAll("button[data-turn]")) button.addEventListener("click", () => turn(Number(button.dataset.turn)));
    new IntersectionObserver(([entry]) => {
      if (entry.isIntersecting && !shown) draw();
      if (!entry.isIntersecting && shown) release();
    }, { rootMargin: "150px" }).observe(card);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (shown) draw(); });
  }
})();

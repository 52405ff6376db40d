"use strict";
// What every page does with a figure: it fits the screen, and crystal and energy point at each other.
const superionicFigure = (() => {
  const CONFIG = { responsive: true, displaylogo: false };
  const SOLID = new Set(["mesh3d", "scatter3d"]);
  const NARROW_PX = 520;
  const NEAR_PX = 16;
  const SQUARE_PX = 470;  // a box this wide has a scene as wide as high
  const TURN = Math.PI / 12;
  const SLOW_MS = 70;

  const isSolid = (figure) => figure.data.some((trace) => SOLID.has(trace.type));
  const role = (trace) => trace.meta?.role;

  // On a phone two names stand beside each other, and what is wider than the screen becomes smaller.
  function fitted(layout, width) {
    const made = structuredClone(layout);
    if (!made.scene || width >= NARROW_PX) return made;
    made.legend = { ...made.legend, entrywidth: 0.48 };
    const views = made.updatemenus?.[0]?.buttons.map((one) => one.args[1]) ?? [];
    const smaller = (shape, wide) => {
      const factor = Math.min(1, width / (SQUARE_PX * wide));
      return Object.fromEntries(Object.entries(shape).map(([axis, value]) => [axis, factor * value]));
    };
    made.scene.aspectratio = smaller(made.scene.aspectratio, made.meta.wide[0]);
    views.forEach((view, k) => { view["scene.aspectratio"] = smaller(view["scene.aspectratio"], made.meta.wide[k]); });
    return made;
  }

  // The point of the path that is seen below the pointer, whatever surface is before it; null elsewhere.
  function pointAt(box, event) {
    const scene = box._fullLayout.scene?._scene, path = box.data.find((trace) => role(trace) === "path" && trace.visible === true);
    const camera = scene?.glplot?.cameraParams;
    if (!camera || !path || event.buttons) return null;
    const place = scene.container.getBoundingClientRect();
    const times = (matrix, v) => [0, 1, 2, 3].map((i) => v.reduce((sum, one, k) => sum + matrix[4 * k + i] * one, 0));
    let best = null, nearest = NEAR_PX;
    path.meta.points.forEach((at, k) => {
      const start = [...at.map((one, i) => one * scene.dataScale[i]), 1];
      const [x, y, , w] = [camera.model, camera.view, camera.projection].reduce((v, matrix) => times(matrix, v), start);
      const away = Math.hypot(
        place.left + place.width * (1 + x / w) / 2 - event.clientX, place.top + place.height * (1 - y / w) / 2 - event.clientY);
      if (away < nearest) [best, nearest] = [k, away];
    });
    return best;
  }

  async function mark(box, point) {
    const energy = box._fullData.find((trace) => role(trace) === "energy");  // its arrays unpacked
    if (!energy || point === null || point === box.point || point < 0 || point >= energy.x.length) return;
    box.point = point;
    box.dataset.point = String(point);
    const paths = box.data.filter((trace) => role(trace) === "path").map((trace) => trace.meta.points[point]);
    const places = (wanted) => box.data.flatMap((trace, k) => (role(trace) === wanted ? [k] : []));
    const axis = (k) => paths.map((at) => [at[k]]);
    await window.Plotly.restyle(box, { x: axis(0), y: axis(1), z: axis(2) }, places("cursor"));
    await window.Plotly.restyle(box, { x: [[energy.x[point]]], y: [[energy.y[point]]] }, places("energy cursor"));
  }

  function link(box) {
    let wanted = null, busy = false;
    const follow = async (point) => {
      wanted = point ?? wanted;
      if (busy) return;  // a scene takes some time to draw: only the last point counts
      busy = true;
      try { while (wanted !== null && wanted !== box.point) await mark(box, wanted); } finally { busy = false; }
    };
    const along = ({ points }) => follow(role(points[0].data) === "energy" ? points[0].pointNumber : null);
    for (const kind of ["plotly_hover", "plotly_click"]) {  // purging a figure forgets them
      box.removeAllListeners(kind);
      box.on(kind, along);
    }
    box.onpointermove = box.onclick = (event) => { follow(pointAt(box, event)); };
    box.onkeydown = (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step || event.target !== box) return;
      event.preventDefault();
      mark(box, box.point === undefined ? 0 : box.point + step);
    };
    box.tabIndex = 0;
  }

  // Where drawing is slow, a scene that is being turned has fewer points a side until it is let go.
  function lighten(box) {
    let turning = false, full = 0;
    const scene = () => box._fullLayout?.scene?._scene?.glplot;
    const begin = (event) => {
      const drawn = scene();
      if (turning || !drawn || !event.target.closest(".gl-container")) return;
      [turning, full] = [true, drawn.pixelRatio];
      let last = null;
      const tick = (now) => {
        if (!turning) return;
        if (last !== null && now - last > SLOW_MS) drawn.pixelRatio = Math.max(drawn.pixelRatio / 2, full / 4);
        last = now;
        requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
    };
    const end = () => {
      if (!turning) return;
      turning = false;
      const drawn = scene();
      if (drawn) { drawn.pixelRatio = full; drawn.redraw(); }
    };
    for (const kind of ["mousedown", "touchstart"]) box.addEventListener(kind, begin, { capture: true, passive: true });
    for (const kind of ["mouseup", "touchend", "touchcancel"]) window.addEventListener(kind, end, { capture: true });
  }

  function say(box, text) {
    const known = box.nextElementSibling;
    const place = known?.matches(".figure-remark") ? known : document.createElement("p");
    place.className = "figure-remark";
    place.textContent = text;
    if (place !== known) box.after(place);
  }

  // Draw a figure, or another one in its place; with fill it is as large as its box.
  async function show(box, figure, Plotly, { fill = false } = {}) {
    const { data } = figure;
    let { layout } = figure;
    if (fill) { layout = { ...layout, autosize: true }; delete layout.width; delete layout.height; }
    const camera = box._fullLayout?.scene?.camera;
    const drawn = fitted(layout, box.clientWidth);
    if (camera && drawn.scene && box.data) drawn.scene.camera = camera;
    delete box.point;
    await Plotly.react(box, data, drawn, { ...CONFIG, displayModeBar: box.clientWidth < NARROW_PX ? false : "hover" });
    if (box.data.some((trace) => role(trace) === "energy")) link(box);
    if (layout.meta?.remark) say(box, layout.meta.remark);
    if (!box.watched && layout.scene) {
      lighten(box);
      let narrow = box.clientWidth < NARROW_PX;
      box.watched = () => {
        if (!box.data || narrow === box.clientWidth < NARROW_PX) return;
        narrow = !narrow;
        const { legend, scene } = fitted(layout, box.clientWidth);
        Plotly.relayout(box, { legend, "scene.aspectratio": scene.aspectratio });
      };
      window.addEventListener("resize", box.watched);
    }
  }

  async function turn(box, steps) {
    const camera = box._fullLayout?.scene?.camera;
    if (!camera) return;
    // About the axis that points up, after Rodrigues.
    const [c, s] = [Math.cos(steps * TURN), Math.sin(steps * TURN)];
    const [e, u] = [camera.eye, camera.up].map(({ x, y, z }) => [x, y, z]);
    const along = e.reduce((sum, one, k) => sum + one * u[k], 0) * (1 - c);
    const [x, y, z] = [0, 1, 2].map((k) => {
      const [l, m] = [(k + 1) % 3, (k + 2) % 3];
      return c * e[k] + s * (u[l] * e[m] - u[m] * e[l]) + along * u[k];
    });
    await window.Plotly.relayout(box, { "scene.camera": { ...camera, eye: { x, y, z } } });
  }

  return { show, turn, mark, isSolid, CONFIG };
})();

// Draws the curve of a balance, or the band of a likely one; the table beside it has the figures for who sees neither.
"use strict";
(() => {
  const MICROS = 1e6;
  const draw = () => {
    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    for (const place of document.querySelectorAll("[data-curve]:empty")) {
      const curve = JSON.parse(place.dataset.curve);
      const axis = { stroke: colour("--text"), grid: { stroke: colour("--line") }, ticks: { stroke: colour("--line") } };
      const size = () => ({ width: place.clientWidth, height: 280 });
      const zeroLine = (plot) => {
        const y = plot.valToPos(0, "y", true);
        if (y < plot.bbox.top || y > plot.bbox.top + plot.bbox.height) return;
        plot.ctx.save();
        plot.ctx.strokeStyle = colour("--bad");
        plot.ctx.beginPath();
        plot.ctx.moveTo(plot.bbox.left, y);
        plot.ctx.lineTo(plot.bbox.left + plot.bbox.width, y);
        plot.ctx.stroke();
        plot.ctx.restore();
      };
      const line = (label, more) => ({ label, stroke: colour("--accent"), width: 2, points: { show: false }, ...more });
      const faint = { width: 1, dash: [4, 4] };
      const lines = curve.band
        ? JSON.parse(place.dataset.labels).map((label, which) => line(label, which === 1 ? {} : faint))
        : [line(place.dataset.label, {})];
      const values = curve.band ?? [curve.micros];
      const plot = place.plot = new uPlot({
        ...size(),
        series: [{}, ...lines],
        bands: curve.band ? [{ series: [3, 1], fill: colour("--band") }] : [],
        axes: [axis, axis],
        hooks: { draw: [zeroLine] },
      }, [curve.at, ...values.map((some) => some.map((micros) => micros / MICROS))], place);
      addEventListener("resize", () => plot.setSize(size()));
    }
  };
  draw();
  document.addEventListener("rater:shown", draw);
})();

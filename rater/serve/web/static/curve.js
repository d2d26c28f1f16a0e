// Draws the curve of a balance; the table beside it has its figures for who does not see it.
"use strict";
(() => {
  const draw = () => {
    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    for (const place of document.querySelectorAll("[data-curve]")) {
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
      const plot = new uPlot({
        ...size(),
        series: [{}, { label: place.dataset.label, stroke: colour("--accent"), width: 2, points: { show: false } }],
        axes: [axis, axis],
        hooks: { draw: [zeroLine] },
      }, [curve.at, curve.micros.map((micros) => micros / 1e6)], place);
      addEventListener("resize", () => plot.setSize(size()));
    }
  };
  draw();
  document.addEventListener("rater:shown", draw);
})();

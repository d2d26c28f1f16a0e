// Draws two bars for each name: what it was and what it would have been; the tables below have the figures.
"use strict";
(() => {
  const MICROS = 1e6, SHOWN_MAX = 26;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  for (const place of document.querySelectorAll("[data-bars]:empty")) {
    const bars = JSON.parse(place.dataset.bars), labels = JSON.parse(place.dataset.labels);
    const at = bars.names.map((_, which) => which);
    const short = (name) => name.length > SHOWN_MAX ? `${name.slice(0, SHOWN_MAX - 1)}…` : name;
    const line = { grid: { stroke: colour("--line") }, ticks: { stroke: colour("--line") }, stroke: colour("--text") };
    const names = { ...line, splits: () => at, values: (_, shown) => shown.map((which) => short(bars.names[which] ?? "")), rotate: -30, size: 140 };
    const series = (which, fill, align) => ({
      label: labels[which], fill: colour(fill), stroke: colour(fill), points: { show: false },
      paths: uPlot.paths.bars({ size: [0.35, 60], align }),
    });
    const size = () => ({ width: place.clientWidth, height: 390 });
    const plot = new uPlot({
      ...size(),
      legend: { live: false },
      scales: { x: { time: false, range: [-0.7, at.length - 0.3] }, y: { range: (_, least, most) => [Math.min(0, least), Math.max(0, most) * 1.05] } },
      series: [{ value: (_, which) => bars.names[which] ?? "" }, series(0, "--faint", -1), series(1, "--accent", 1)],
      axes: [names, line],
    }, [at, bars.was.map((one) => one / MICROS), bars.would_be.map((one) => one / MICROS)], place);
    addEventListener("resize", () => plot.setSize(size()));
  }
})();

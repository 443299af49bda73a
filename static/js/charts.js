// Charts of finished operations: for each `[data-charts]` the JSON that follows it holds times and series.
import uPlot from "../vendor/uplot/uPlot.esm.js";

const HEIGHT = 140;

// A canvas knows no custom properties: let an element resolve them.
function colour(place, name) {
  place.style.color = `var(${name})`;
  const resolved = getComputedStyle(place).color;
  place.style.color = "";
  return resolved;
}

function options(place, series, width) {
  const axis = {
    stroke: colour(place, "--muted"),
    grid: { stroke: colour(place, "--line"), width: 1 },
    ticks: { show: false },
  };
  return {
    title: `${series.title}, ${series.unit}`,
    width,
    height: HEIGHT,
    cursor: { drag: { x: false, y: false } },
    legend: { show: false },
    scales: { y: { range: (_, least, most) => [0, Math.max(most * 1.1, 1)] } },
    axes: [axis, { ...axis, size: 60 }],
    series: [{}, { label: series.title, stroke: colour(place, "--accent"), width: 2, points: { show: true, size: 5 } }],
  };
}

function draw(place) {
  const { times, series } = JSON.parse(place.nextElementSibling.textContent);
  const charts = series.map((one) => {
    const box = document.createElement("div");
    box.className = "chart";
    place.append(box);
    return [box, new uPlot(options(place, one, box.clientWidth), [times, one.values], box)];
  });
  new ResizeObserver(() => {
    for (const [box, chart] of charts) chart.setSize({ width: box.clientWidth, height: HEIGHT });
  }).observe(place);
}

document.querySelectorAll("[data-charts]").forEach(draw);

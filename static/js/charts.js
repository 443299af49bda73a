// Charts of finished operations: for each `[data-charts]` the JSON that follows it holds times and series.
import uPlot from "uplot";

const HEIGHT = 140;

// A canvas knows no custom properties: let an element resolve them.
function colour(place, name) {
  place.style.color = `var(${name})`;
  const resolved = getComputedStyle(place).color;
  place.style.color = "";
  return resolved;
}

// Days where the chart spans some, else the time of day.
function moments(chart, splits) {
  const { min, max } = chart.scales.x;
  const text = (seconds) => new Date((seconds - 60 * new Date(seconds * 1000).getTimezoneOffset()) * 1000).toISOString();
  return splits.map((seconds) => (max - min > 2 * 86400 ? text(seconds).slice(5, 10) : text(seconds).slice(11, 16)));
}

function options(place, series, width) {
  const axis = {
    stroke: colour(place, "--muted"),
    grid: { stroke: colour(place, "--line"), width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height: HEIGHT,
    cursor: { drag: { x: false, y: false } },
    legend: { show: false },
    scales: {
      x: { range: ({ data: [times] }, first, last) => (times.length < 2 ? [first - 3600, first + 3600] : last - first < 3600 ? [last - 3600, last] : [first, last]) },
      y: { range: (_, least, most) => [0, Math.max(most * 1.1, 1)] },
    },
    axes: [{ ...axis, values: moments, space: 70 }, { ...axis, size: 60 }],
    series: [{}, { label: series.title, stroke: colour(place, "--accent"), width: 2, points: { show: true, size: 5 } }],
  };
}

function draw(place) {
  const { times, series } = JSON.parse(place.nextElementSibling.textContent);
  const charts = series.map((one) => {
    const box = document.createElement("div");
    box.className = "chart";
    const title = document.createElement("p");
    title.className = "muted small";
    title.textContent = `${one.title}, ${one.unit}`;
    box.append(title);
    place.append(box);
    return [box, new uPlot(options(place, one, box.clientWidth), [times, one.values], box)];
  });
  new ResizeObserver(() => {
    for (const [box, chart] of charts) chart.setSize({ width: box.clientWidth, height: HEIGHT });
  }).observe(place);
}

document.querySelectorAll("[data-charts]").forEach(draw);

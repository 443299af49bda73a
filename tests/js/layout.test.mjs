/** The timeline's geometry: rows fill the width, estimates come close, a capped scrollbar reaches every photo. */
import assert from "node:assert/strict";
import { test } from "node:test";

import * as layout from "../../static/catalog/js/layout.js";

/** A repeatable stream of numbers in [0, 1). */
function random(seed) {
  return () => ((seed = (seed * 1664525 + 1013904223) >>> 0) / 2 ** 32);
}

const SHAPES = [1.5, 1.333, 0.667, 0.75, 1.778, 1, 2.4, 0.5625];
function someRatios(count, seed = 1) {
  const next = random(seed);
  return Array.from({ length: count }, () => SHAPES[Math.floor(next() * SHAPES.length)]);
}

test("every photo lies in exactly one row, in order", () => {
  for (const width of [320, 390, 700, 1100, 1440, 3840]) {
    const ratios = someRatios(997, width);
    const rows = layout.layOut(ratios, width);
    const seen = [];
    for (let row = 0; row < rows.tops.length; row++) {
      for (const box of layout.rowBoxes(rows, row, ratios, width)) seen.push(box.index);
    }
    assert.deepEqual(seen, ratios.map((_, index) => index), `width ${width}`);
  }
});

test("full rows are flush with both edges, without overlaps, near the target height", () => {
  for (const width of [700, 1100, 1440, 2560]) {
    const ratios = someRatios(500, width);
    const rows = layout.justify(ratios, width);
    for (let row = 0; row < rows.tops.length - 1; row++) {
      const boxes = layout.rowBoxes(rows, row, ratios, width);
      assert.equal(boxes[0].left, 0);
      assert.equal(boxes.at(-1).left + boxes.at(-1).width, width, `width ${width} row ${row}`);
      for (let i = 1; i < boxes.length; i++) {
        assert.equal(boxes[i].left - boxes[i - 1].left - boxes[i - 1].width, layout.GAP);
      }
      assert.ok(rows.heights[row] > 120 && rows.heights[row] < 320, `row of ${rows.heights[row]} px`);
    }
  }
});

test("the last row is not stretched", () => {
  const rows = layout.justify([1.5, 1.5], 1440);
  assert.equal(rows.heights[0], layout.TARGET_ROW_HEIGHT);
  const [first, second] = layout.rowBoxes(rows, 0, [1.5, 1.5], 1440);
  assert.equal(first.width, 300);
  assert.equal(second.left, 304);
});

test("odd ratios neither break the rows nor make slivers", () => {
  const ratios = [0, NaN, Infinity, 100, 0.001, -1, null, undefined, 1.5, 40, 40];
  const rows = layout.justify(ratios, 900);
  for (let row = 0; row < rows.tops.length; row++) {
    for (const box of layout.rowBoxes(rows, row, ratios, 900)) {
      assert.ok(box.width >= 50 && box.left + box.width <= 900, JSON.stringify(box));
    }
  }
});

test("squares come in three columns on a phone", () => {
  const rows = layout.layOut(someRatios(7), 390);
  assert.equal(rows.tops.length, 3);
  const boxes = layout.rowBoxes(rows, 0, someRatios(7), 390);
  assert.equal(boxes.length, 3);
  assert.ok(Math.abs(boxes[2].left + boxes[2].width - 390) < 0.01);
});

test("an empty bucket has no rows and no height", () => {
  assert.equal(layout.layOut([], 1200).height, 0);
  assert.equal(layout.layOut([], 390).height, 0);
  assert.equal(layout.estimateRowsHeight(0, 1200), 0);
});

test("the estimate is within a tenth of the truth for many photos", () => {
  for (const width of [800, 1200, 1900]) {
    const ratios = someRatios(2000, 7);
    const average = ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
    const estimate = layout.estimateRowsHeight(2000, width, average);
    const truth = layout.justify(ratios, width).height;
    assert.ok(Math.abs(estimate - truth) / truth < 0.1, `${estimate} against ${truth}`);
  }
  assert.equal(layout.estimateRowsHeight(100, 390), layout.squares(100, 390).height);
});

test("rows are found by height and by photo", () => {
  const ratios = someRatios(300);
  const rows = layout.justify(ratios, 1200);
  for (let row = 0; row < rows.tops.length; row++) {
    assert.equal(layout.rowAt(rows, rows.tops[row] + 1), row);
    assert.equal(layout.rowOfIndex(rows, rows.starts[row]), row);
    assert.equal(layout.rowOfIndex(rows, rows.starts[row + 1] - 1), row);
  }
  assert.equal(layout.rowAt(rows, -5), 0);
  assert.equal(layout.rowAt(rows, 1e9), rows.tops.length - 1);
});

test("the stack knows where sections lie and finds photos by number", () => {
  const stack = new layout.Stack([10, 0, 5], [100, 20, 50]);
  assert.equal(stack.height, 170);
  assert.equal(stack.count, 15);
  assert.equal(stack.at(99), 0);
  assert.equal(stack.at(100), 1);
  assert.equal(stack.at(1e9), 2);
  assert.equal(stack.top(2), 120);
  assert.deepEqual(stack.locate(9), { section: 0, index: 9 });
  assert.deepEqual(stack.locate(10), { section: 2, index: 0 });
});

/** Plays the browser: holds a scroll position within the capped range. */
class FakeScroller {
  constructor(map) {
    this.map = map;
    this.scroll = 0;
  }

  by(delta) {
    this.scroll = Math.min(this.map.scrollMax, Math.max(0, this.scroll + delta));
    let real = this.map.moved(this.scroll);
    if (this.map.isStrained(this.scroll)) this.rest(real);
    return real;
  }

  rest(real) {
    this.scroll = Math.round(this.map.proportional(real));
    this.map.place(real, this.scroll);
  }
}

test("small libraries scroll as they are", () => {
  const map = new layout.ScrollMap(4_000_000);
  map.resize(10_000, 900);
  const scroller = new FakeScroller(map);
  assert.equal(map.isCapped, false);
  assert.equal(scroller.by(1234), 1234);
  assert.equal(scroller.by(1e6), 9100);
  assert.equal(scroller.by(-1e6), 0);
});

test("a wheel moves 1:1 through 45 million pixels, from one end to the other and back", () => {
  const map = new layout.ScrollMap(4_000_000);
  map.resize(45_000_000, 900);
  const scroller = new FakeScroller(map);
  const next = random(5);
  let real = 0;
  for (const direction of [1, -1]) {
    for (let step = 0; step < 60_000; step++) {
      const delta = direction * Math.round(next() * 2000);
      const expected = map.clamp(real + delta);
      const moved = scroller.by(delta);
      assert.ok(Math.abs(moved - expected) <= 1, `step ${step}: ${moved} instead of ${expected}`);
      real = moved;
      if (next() < 0.01) scroller.rest(real);
    }
    assert.equal(Math.round(real), direction === 1 ? 44_999_100 : 0);
  }
});

test("dragging the scrollbar reaches the proportional place", () => {
  const map = new layout.ScrollMap(4_000_000);
  map.resize(45_000_000, 900);
  const scroller = new FakeScroller(map);
  const half = scroller.by(map.scrollMax / 2);
  assert.ok(Math.abs(half - map.realMax / 2) < 1);
  assert.equal(Math.round(scroller.by(map.scrollMax)), map.realMax);
});

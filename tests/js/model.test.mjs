/** What the timeline knows: buckets and photos as they come, places kept while everything else moves. */
import "./modules.mjs";

import assert from "node:assert/strict";
import { test } from "node:test";

const { TimelineModel } = await import("photolala/model");
const { splitByBucket } = await import("photolala/api");

/** Arrays of `count` photos of one month. */
function photosOf(key, count, ratio = 1.5, prefix = "") {
  const fill = (make) => Array.from({ length: count }, (_, i) => make(i));
  const empty = fill(() => "");
  return { id: fill((i) => `${prefix}${key}#${i}`), ratio: fill(() => ratio), favorite: fill(() => false), can_edit: fill((i) => i !== 1), media_type: empty, live: empty };
}

/** A source whose answers the test can change; notes what was asked for. */
class Source {
  constructor(counts) {
    this.counts = counts;
    this.ratio = 1.5;
    this.asked = [];
    this.prefix = "";
  }

  async fetchBuckets() {
    return Object.entries(this.counts).map(([bucket, count]) => ({ bucket, count }));
  }

  async fetchPhotos(keys, signal) {
    this.asked.push(keys);
    await new Promise((resolve) => setTimeout(resolve, 1));
    signal.throwIfAborted();
    if (this.error) throw this.error;
    return new Map(keys.map((key) => [key, photosOf(key, this.counts[key], this.ratio, this.prefix)]));
  }
}

async function started(counts, width = 1200) {
  const source = new Source(counts);
  const model = new TimelineModel(source);
  model.setWidth(width);
  await model.start();
  return { source, model };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 15));

test("one answer is shared out among months, days and the undated", () => {
  const arrays = {
    id: ["a", "b", "c", "d"],
    taken_local: ["2024-05-17T10:00:00", "2024-05-16T10:00:00", "2023-01-31T10:00:00", null],
  };
  const found = splitByBucket(arrays, ["2024-05-17", "2024-05-16", "2023-01", "undated", "2022-01"]);
  assert.deepEqual([...found].map(([key, photos]) => [key, photos.id.join()]), [
    ["2024-05-17", "a"], ["2024-05-16", "b"], ["2023-01", "c"], ["undated", "d"], ["2022-01", ""],
  ]);
});

test("a month has one head, whether it comes whole or in days", async () => {
  const whole = await started({ "2024-05": 12, "2024-04": 3 });
  const inDays = await started({ "2024-05-17": 4, "2024-05-16": 4, "2024-05-02": 4, "2024-04": 3 });
  assert.deepEqual(whole.model.sections.map(({ head }) => head), [44, 44]);
  assert.deepEqual(inDays.model.sections.map(({ head }) => head), [44, 0, 0, 44]);
  const [first, , last, april] = inDays.model.sections;
  assert.equal(first.month, last.month);
  assert.deepEqual({ ...first.month }, { key: "2024-05", first: 0, last: 2, count: 12 });
  assert.equal(april.month.key, "2024-04");
});

test("while one passes by fast, little is asked for at a time, in the direction of the way", async () => {
  const { source, model } = await started(Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`2024-${String(12 - i).padStart(2, "0")}`, 1_000])));
  model.want(9, 2, { isFast: true });
  model.want(9, 2, { isFast: true });
  model.want(9, 2, { isFast: true });
  assert.deepEqual(source.asked, [["2024-03"], ["2024-04"]]);
  await settled();
  assert.equal(model.byKey.get("2024-03").photos.id.length, 1_000);
});

test("what is near is loaded in few requests, and not twice", async () => {
  const { source, model } = await started({ "2024-03": 100, "2024-02": 100, "2024-01": 100 });
  model.want(0, 1);
  model.want(0, 1);
  await settled();
  model.want(0, 1);
  assert.deepEqual(source.asked, [["2024-03", "2024-02"]]);
  assert.equal(model.sections[0].photos.id.length, 100);
  assert.equal(model.sections[2].photos, null);
});

test("requests for what was scrolled past are given up", async () => {
  const { source, model } = await started({ "2024-03": 10, "2024-02": 10 });
  model.want(0, 0);
  model.want(1, 1);
  await settled();
  assert.deepEqual(source.asked, [["2024-03"], ["2024-02"]]);
  assert.equal(model.sections[0].photos, null);
  assert.equal(model.sections[1].photos.id.length, 10);
});

test("what somebody waits for is not given up by scrolling on", async () => {
  const { model } = await started({ "2024-03": 10, "2024-02": 10 });
  const waiting = model.photosOf(model.sections[0]);
  model.want(1, 1);
  assert.equal((await waiting).id.length, 10);
});

test("the photo at the top stays there when months above it turn out higher", async () => {
  const { source, model } = await started({ "2024-03": 400, "2024-02": 400 });
  source.ratio = 0.7;
  await model.photosOf(model.sections[1]);
  const y = model.stack.top(1) + 1000;
  const anchor = model.anchorAt(y);
  const heightBefore = model.stack.top(1);
  await model.photosOf(model.sections[0]);
  assert.notEqual(model.stack.top(1), heightBefore);
  assert.ok(Math.abs(model.heightOfAnchor(anchor) - (model.stack.top(1) + 1000)) < 0.01);
});

test("the photo at the top stays there when new photos come before it", async () => {
  const { source, model } = await started({ "2024-03": 40, "2024-02": 40 });
  await model.photosOf(model.sections[0]);
  await model.photosOf(model.sections[1]);
  const anchor = model.anchorAt(model.stack.top(1) + 300);
  source.counts = { "2024-04": 900, "2024-03": 41, "2024-02": 40 };
  await model.refresh();
  const place = model.heightOfAnchor(anchor);
  assert.equal(model.anchorAt(place).id, anchor.id);
  assert.equal(model.count, 900 + 40 + 40); // what is loaded counts until it has been loaded again
  model.want(0, 2);
  await settled();
  assert.equal(model.count, 900 + 41 + 40);
  assert.equal(model.anchorAt(model.heightOfAnchor(anchor)).id, anchor.id);
});

test("a month that is gone leaves, and its anchor falls to what took its place", async () => {
  const { source, model } = await started({ "2024-03": 40, "2024-02": 40, "2024-01": 40 });
  const anchor = model.anchorAt(model.stack.top(1) + 20);
  source.counts = { "2024-03": 40, "2024-01": 40 };
  await model.refresh();
  assert.deepEqual(model.sections.map((section) => section.key), ["2024-03", "2024-01"]);
  assert.equal(model.heightOfAnchor(anchor), model.stack.top(1));
});

test("an error is told and tried again later, not at once", async () => {
  const { source, model } = await started({ "2024-03": 40 });
  source.error = Object.assign(new Error("Not now."), { retryAfterSeconds: 30 });
  const heard = [];
  model.addEventListener("trouble", ({ detail }) => heard.push(detail.message));
  model.want(0, 0);
  await settled();
  model.want(0, 0);
  await settled();
  assert.deepEqual(heard, ["Not now."]);
  assert.equal(source.asked.length, 1);
  await assert.rejects(model.photosOf(model.sections[0]), /Not now/);
});

test("only so many photos are kept, but every height", async () => {
  const counts = Object.fromEntries(Array.from({ length: 80 }, (_, i) => [`${2024 - i}-01`, 1000]));
  const { model } = await started(counts);
  for (let i = 0; i < 80; i++) {
    model.want(i, i);
    await settled();
  }
  const loaded = model.sections.filter((section) => section.photos).length;
  assert.ok(loaded <= 60 && loaded > 40, `${loaded} months are kept`);
  assert.ok(model.sections.every((section) => section.isExact));
  assert.equal(model.sections[0].photos, null);
  assert.equal(model.count, 80_000);
});

test("an address finds its month, a day of it, or what is next older", async () => {
  const { model } = await started({ "2024-05-17": 600, "2024-05-16": 600, "2024-03": 10, undated: 3 });
  const key = (wanted) => model.sections[model.sectionFor(wanted)].key;
  assert.equal(key("2024-05-16"), "2024-05-16");
  assert.equal(key("2024-05"), "2024-05-17");
  assert.equal(key("2024-03-09"), "2024-03");
  assert.equal(key("2024-04"), "2024-03");
  assert.equal(key("1999-01"), "undated");
  assert.equal(key("undated"), "undated");
});

test("of those selected, the photos that one may only see are left out; what is not loaded is not known", async () => {
  const { model } = await started({ "2024-03": 3, "2024-02": 3 });
  await model.photosOf(model.sections[0]);
  assert.deepEqual(model.editableOf(["2024-03#0", "2024-03#1", "2024-02#1"]), ["2024-03#0", "2024-02#1"]);
});

test("a motion photo is its own pair, and its video stands in no list of what goes along", async () => {
  const { source, model } = await started({ "2024-05": 3 });
  source.fetchPhotos = async (keys) => {
    const photos = photosOf("2024-05", 3);
    return new Map(keys.map((key) => [key, { ...photos, media_type: ["image/jpeg", "image/heic", "video/mp4"], live: ["", "a", "a"], motion: [true, false, false] }]));
  };
  model.want(0, 0);
  await settled();
  const { photos } = model.sections[0];
  assert.deepEqual(photos.pair, ["2024-05#0", "2024-05#2"]);
  assert.deepEqual(model.pairsOf(["2024-05#0", "2024-05#1"]), ["2024-05#2"]);
});

/** Times in words, as the pages that the server draws say them. */
import "./modules.mjs";

import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.document ??= { documentElement: { lang: "en" } }; // which the page has
const { durationText } = await import("photolala/dates");

test("a video is never 0:00 long", () => {
  assert.deepEqual([400, 1_600, 754_000, 3_723_000].map(durationText), ["0:01", "0:02", "12:34", "1:02:03"]);
});

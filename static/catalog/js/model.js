/** What the timeline knows: its buckets, the photos of those loaded, and where each lies. No DOM. */

import {
  estimateRowsHeight, GAP, HEAD_HEIGHT, layOut, MONTH_PADDING, rowAt, rowOfIndex, Stack, tileRatio, TYPICAL_RATIO,
} from "photolala/layout";
import { joinPairs } from "photolala/pairs";

const KEPT_PHOTOS = 60_000;
const PHOTOS_PER_REQUEST = 1_500;
const BUCKETS_PER_REQUEST = 24;
const REQUESTS_WHILE_FAST = 2;
const RETRY_MS = 4_000;
const RATIO_TWITCH = 0.04;

/** What has one head: a month, whether it came whole or, being large, in days. */
class Month {
  constructor(key, first) {
    Object.assign(this, { key, first, last: first, count: 0 });
  }
}

class Section {
  constructor(key, count) {
    this.key = key;
    this.count = count;
    this.photos = null;
    this.joined = 0; // how many videos of Live Photos its photos leave out, which its bucket counts
    this.rows = null;
    this.version = 0; // grows with every change of its layout
    this.isStale = false; // loaded, but the library has changed since
    this.rowsHeight = 0;
    this.month = null;
    this.head = 0; // the height of the month's head above its rows, if it is the month's first
    this.isExact = false;
    this.request = null;
    this.retryAt = 0;
    this.usedAt = 0;
    this.askedAt = 0; // when the photos shown were asked for
  }
}

/** Dispatches "buckets" (anything may have moved), "accepted" (`detail`: sections), then "photos" (they are laid out) and "trouble" (`detail`: the error). */
export class TimelineModel extends EventTarget {
  /** `source` has `fetchBuckets(signal)` and `fetchPhotos(keys, signal)`. */
  constructor(source) {
    super();
    this.source = source;
    this.width = 0;
    this.sections = [];
    this.byKey = new Map();
    this.stack = new Stack([], []);
    this.ratioSum = 0;
    this.ratioCount = 0;
    this.guessedRatio = TYPICAL_RATIO;
    this.requests = new Set();
    this.clock = 0;
  }

  get count() {
    return this.stack.count;
  }

  /** The ratio by which unloaded heights are judged; follows what was seen, but not with every twitch. */
  get averageRatio() {
    const seen = this.ratioCount > 50 ? this.ratioSum / this.ratioCount : TYPICAL_RATIO;
    if (Math.abs(seen - this.guessedRatio) > RATIO_TWITCH) {
      this.guessedRatio = seen;
      for (const section of this.sections) if (!section.isExact) section.rowsHeight = 0;
    }
    return this.guessedRatio;
  }

  /** Load the list of buckets. */
  async start() {
    this.setBuckets(await this.source.fetchBuckets());
  }

  /** Load the list again; what is loaded stays shown until its photos have been loaded again. */
  async refresh() {
    const buckets = await this.source.fetchBuckets();
    for (const section of this.sections) section.isStale = true;
    this.setBuckets(buckets);
  }

  setBuckets(buckets) {
    const sections = [];
    for (const { bucket, count } of buckets) {
      if (count === 0) continue;
      const section = this.byKey.get(bucket) ?? new Section(bucket, count);
      const shown = count - (section.photos ? section.joined : 0);
      if (section.count !== shown) {
        section.count = shown;
        if (!section.photos) {
          section.isExact = false;
          section.rowsHeight = 0;
        }
      }
      sections.push(section);
    }
    this.sections = sections;
    this.byKey = new Map(sections.map((section) => [section.key, section]));
    this.arrange();
    this.dispatchEvent(new Event("buckets"));
  }

  /** Lay everything out for `width`. */
  setWidth(width) {
    if (width === this.width) return;
    this.width = width;
    for (const section of this.sections) {
      section.isExact = false;
      section.rowsHeight = 0;
      if (section.photos) this.layOutSection(section);
    }
    this.arrange();
  }

  layOutSection(section) {
    section.rows = layOut(section.photos.ratio, this.width);
    section.rowsHeight = section.rows.height;
    section.isExact = true;
    section.version++;
  }

  arrange() {
    const ratio = this.averageRatio;
    const counts = new Float64Array(this.sections.length);
    const heights = new Float64Array(this.sections.length);
    let month = null;
    for (let i = 0; i < this.sections.length; i++) {
      const section = this.sections[i];
      if (!section.isExact && section.rowsHeight === 0) {
        section.rowsHeight = estimateRowsHeight(section.count, this.width, ratio);
      }
      counts[i] = section.photos ? section.photos.id.length : section.count;
      const key = section.key.slice(0, 7);
      const isFirst = month?.key !== key;
      if (isFirst) month = new Month(key, i);
      const isLast = !this.sections[i + 1]?.key.startsWith(key);
      month.last = i;
      month.count += counts[i];
      section.month = month;
      section.head = isFirst ? HEAD_HEIGHT : 0;
      heights[i] = section.head + section.rowsHeight + (isLast ? MONTH_PADDING : GAP);
    }
    this.stack = new Stack(counts, heights);
  }

  /**
   * Load what is missing of the sections `from`..`to` (which may be above it), in this order; drop requests for what is no
   * longer wanted. `isFast`: one passes by so fast that the server is asked for little at a time, and nothing is dropped.
   */
  want(from, to, { isFast = false } = {}) {
    if (isFast && this.requests.size >= REQUESTS_WHILE_FAST) return;
    this.clock++;
    const wanted = new Set();
    const missing = [];
    const now = Date.now();
    const step = from <= to ? 1 : -1;
    for (let i = from; i !== to + step; i += step) {
      const section = this.sections[i];
      section.usedAt = this.clock;
      wanted.add(section.key);
      if ((!section.photos || section.isStale) && !section.request && section.retryAt <= now) missing.push(section);
    }
    if (isFast) {
      const [next] = groups(missing);
      if (next) void this.load(next);
      return;
    }
    for (const request of this.requests) {
      if (!request.isNeeded && !request.keys.some((key) => wanted.has(key))) request.abort();
    }
    for (const group of groups(missing)) void this.load(group);
  }

  /** The photos of one section, loaded if need be. Throws the API's error. */
  async photosOf(section) {
    if (section.photos) return section.photos;
    if (!section.request) void this.load([section]);
    section.request.isNeeded = true;
    await section.request.promise;
    if (!section.photos) throw section.error ?? new Error("These photos could not be loaded.");
    return section.photos;
  }

  load(group) {
    const controller = new AbortController();
    const keys = group.map((section) => section.key);
    const askedAt = performance.now();
    const request = { keys, abort: () => controller.abort(), isNeeded: false };
    this.requests.add(request);
    for (const section of group) section.request = request;
    request.promise = this.fetch(group, keys, controller.signal, askedAt).finally(() => {
      this.requests.delete(request);
      for (const section of group) if (section.request === request) section.request = null;
    });
    return request.promise;
  }

  async fetch(group, keys, signal, askedAt) {
    try {
      const found = await this.source.fetchPhotos(keys, signal);
      for (const section of group) {
        section.askedAt = askedAt;
        this.accept(section, found.get(section.key));
      }
      this.dispatchEvent(new CustomEvent("accepted", { detail: group }));
      this.dropOld();
      this.arrange();
      this.dispatchEvent(new Event("photos"));
    } catch (error) {
      if (error.name === "AbortError") return;
      for (const section of group) {
        section.error = error;
        section.retryAt = Date.now() + Math.max(RETRY_MS, (error.retryAfterSeconds || 0) * 1000);
      }
      this.dispatchEvent(new CustomEvent("trouble", { detail: error }));
    }
  }

  accept(section, photos) {
    section.photos = joinPairs(photos);
    section.joined = photos.id.length - section.photos.id.length;
    section.count = section.photos.id.length;
    section.isStale = false;
    section.retryAt = 0;
    for (const ratio of section.photos.ratio) this.ratioSum += tileRatio(ratio);
    this.ratioCount += section.count;
    this.layOutSection(section);
  }

  /** Forget the photos of the sections longest out of use, but not their height. */
  dropOld() {
    const loaded = this.sections.filter((section) => section.photos);
    let kept = loaded.reduce((sum, section) => sum + section.count, 0);
    if (kept <= KEPT_PHOTOS) return;
    loaded.sort((a, b) => a.usedAt - b.usedAt);
    for (const section of loaded) {
      if (kept <= KEPT_PHOTOS || section.usedAt === this.clock) break;
      kept -= section.count;
      section.photos = null;
      section.rows = null;
    }
  }

  /** What lies at height `y`, so that it can be found again after anything has changed. */
  anchorAt(y) {
    if (this.sections.length === 0) return null;
    const index = this.stack.at(y);
    const section = this.sections[index];
    const inside = y - this.stack.top(index);
    const fraction = inside / this.stack.heights[index];
    if (!section.rows || section.rows.tops.length === 0) return { key: section.key, id: null, fraction, index, inside };
    const row = rowAt(section.rows, inside - section.head);
    const top = section.head + section.rows.tops[row];
    return { key: section.key, id: section.photos.id[section.rows.starts[row]], offset: inside - top, fraction, index, inside };
  }

  /** The height at which `anchor` lies now. */
  heightOfAnchor(anchor) {
    const section = this.byKey.get(anchor.key);
    if (!section) return this.stack.top(Math.min(anchor.index, this.sections.length));
    const index = this.sections.indexOf(section);
    const place = anchor.id && section.photos ? section.photos.id.indexOf(anchor.id) : -1;
    if (place >= 0) {
      const row = rowOfIndex(section.rows, place);
      return this.stack.top(index) + section.head + section.rows.tops[row] + anchor.offset;
    }
    const inside = anchor.inside <= section.head ? anchor.inside : anchor.fraction * this.stack.heights[index];
    return this.stack.top(index) + inside;
  }

  /** The section whose days hold `key` ("2024-05" or "2024-05-17"), else the next older one; -1 when there are none. */
  sectionFor(key) {
    const exact = this.sections.findIndex((section) => section.key === key);
    if (exact >= 0) return exact;
    const inside = this.sections.findIndex((section) => section.key.startsWith(key) || key.startsWith(section.key));
    if (inside >= 0) return inside;
    const older = this.sections.findIndex((section) => section.key < key);
    return older >= 0 ? older : this.sections.length - 1;
  }

  /** `{section, index, photos}` of the photo with this number in the whole timeline; `photos` is null until loaded. */
  locate(number) {
    const { section, index } = this.stack.locate(number);
    return { section, index, photos: this.sections[section]?.photos ?? null };
  }

  /** A Map from id to the stars with which it was loaded, of those among `ids` that are loaded. */
  starsOf(ids) {
    const found = new Map();
    for (const { photos } of this.sections) {
      photos?.id.forEach((id, index) => ids.has(id) && found.set(id, photos.stars[index]));
    }
    return found;
  }

  /** Those of `ids` that one may change, as far as is known: all but those loaded that one may only see. */
  editableOf(ids) {
    const wanted = new Set(ids);
    for (const { photos } of this.sections) photos?.id.forEach((id, index) => photos.can_edit[index] || wanted.delete(id));
    return [...wanted];
  }

  /** The ids of the videos that belong to those of `ids` that are Live Photos and loaded. */
  pairsOf(ids) {
    const wanted = new Set(ids);
    const found = [];
    for (const { photos } of this.sections) {
      photos?.pair.forEach((pair, index) => pair && pair !== photos.id[index] && wanted.has(photos.id[index]) && found.push(pair));
    }
    return found;
  }

  numberOf(section, index) {
    return this.stack.firsts[section] + index;
  }
}

function groups(sections) {
  const found = [];
  let photos = 0;
  for (const section of sections) {
    const last = found.at(-1);
    if (!last || last.length >= BUCKETS_PER_REQUEST || photos + section.count > PHOTOS_PER_REQUEST) {
      found.push([section]);
      photos = section.count;
    } else {
      last.push(section);
      photos += section.count;
    }
  }
  return found;
}

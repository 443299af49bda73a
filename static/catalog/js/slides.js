/** Where an open photo's slides come from: the whole timeline, or a single photo that is not on it. */

import { takenTitle } from "photolala/dates";

/** The slides of a timeline's model, loaded as one comes near. */
export class TimelineSlides {
  constructor(model, timeline) {
    this.model = model;
    this.timeline = timeline;
  }

  get count() {
    return this.model.count;
  }

  at(number) {
    const { section, photos, index } = this.model.locate(number);
    if (!photos || photos.id[index] === undefined) return null;
    return {
      id: photos.id[index],
      day: photos.taken_local[index]?.slice(0, 10) ?? this.model.sections[section].key,
      version: photos.version[index],
      ratio: photos.ratio[index],
      isVideo: Boolean(photos.media_type[index]?.startsWith("video/")),
      pair: photos.pair[index],
      mediaType: photos.media_type[index],
      stars: photos.stars[index],
      hasThumbnail: photos.thumbnail[index],
      takenText: takenTitle(photos.taken_local[index]),
      problem: "",
      canEdit: photos.can_edit[index],
    };
  }

  async load(number) {
    const { section } = this.model.locate(number);
    await this.model.photosOf(this.model.sections[section]);
  }

  thumbnailElement(number) {
    const photo = this.at(number);
    return (photo && this.timeline.tileOf(photo.id)?.image) ?? undefined;
  }
}

/** A single photo that is not on the timeline, such as a broken one. */
export class SingleSlide {
  constructor(photo) {
    this.photo = photo;
    this.count = 1;
  }

  at() {
    return this.photo;
  }

  load() {
    return Promise.resolve();
  }

  thumbnailElement() {
    return undefined;
  }
}

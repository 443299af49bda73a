/** Live Photos and motion photos: a still picture and its short video are one photo. No DOM. */

/**
 * Leave the videos of Live Photos out of `photos` (arrays of one length) where the picture is there, too. The answer has one
 * array more, `pair`: the id of a picture's video, its own where the video is in its file, or "".
 */
export function joinPairs(photos) {
  const isVideo = (index) => photos.media_type[index]?.startsWith("video/");
  const videos = new Map(); // of each Live Photo, the numbers of its videos
  photos.live.forEach((key, index) => {
    if (key && isVideo(index)) videos.set(key, [...(videos.get(key) ?? []), index]);
  });
  const pair = photos.id.map((id, index) => (photos.motion?.[index] ? id : ""));
  const joined = new Set();
  if (videos.size) {
    photos.live.forEach((key, index) => {
      const video = key && !isVideo(index) ? videos.get(key)?.shift() : undefined;
      if (video === undefined) return;
      pair[index] = photos.id[video];
      joined.add(video);
    });
  }
  const all = { ...photos, pair };
  if (!joined.size) return all;
  const kept = (values) => values.filter((_, index) => !joined.has(index));
  return Object.fromEntries(Object.entries(all).map(([name, values]) => [name, kept(values)]));
}

/** Buckets and capture times as people read them. */

const pageLanguage = document.documentElement.lang || "en";
const language = pageLanguage === "en" ? "en-GB" : pageLanguage; // the day before the month, as on the other pages
const monthAndYear = new Intl.DateTimeFormat(language, { month: "long", year: "numeric", timeZone: "UTC" });
const fullDay = new Intl.DateTimeFormat(language, {
  weekday: "short", day: "numeric", month: "long", year: "numeric", timeZone: "UTC",
});
const dayAndTime = new Intl.DateTimeFormat(language, {
  weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit",
  hourCycle: "h23", timeZone: "UTC",
});
const numbers = new Intl.NumberFormat(language);

export const UNDATED = "undated";

/** "12,340" */
export const formatNumber = (value) => numbers.format(value);

/** "1 photo", "12,340 photos" */
export const countPhotos = (count) => `${formatNumber(count)} ${count === 1 ? "photo" : "photos"}`;

/** "No stars", "1 star", "3 stars" */
export const starsText = (count) => (count === 0 ? "No stars" : count === 1 ? "1 star" : `${count} stars`);

function dateOf(key) {
  const [year, month, day] = key.split("-").map(Number);
  const date = new Date(Date.UTC(2000, (month || 1) - 1, day || 1));
  date.setUTCFullYear(year);
  return date;
}

/** "May 2024" for 2024-05, "Fri, 17 May 2024" for 2024-05-17. */
export function bucketTitle(key) {
  if (key === UNDATED) return "Date unknown";
  return key.length > 7 ? fullDay.format(dateOf(key)) : monthAndYear.format(dateOf(key));
}

/** "May 2024" for a month as for a day in it. */
export const monthTitle = (key) => (key === UNDATED ? "Date unknown" : monthAndYear.format(dateOf(key.slice(0, 7))));

/** "2024" */
export const yearOf = (key) => (key === UNDATED ? "–" : key.slice(0, key.indexOf("-")));

/** The clock's time where the photo was taken: only the wall clock's digits of `text` count, whatever its offset. */
export function takenTitle(text) {
  const match = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)/.exec(text || "");
  if (!match) return "Date unknown";
  const date = dateOf(`${match[1]}-${match[2]}-${match[3]}`);
  date.setUTCHours(Number(match[4]), Number(match[5]));
  return dayAndTime.format(date);
}

/** " (UTC+02:00)" for a capture time that knows its offset, else "". */
export function offsetWords(text) {
  const match = /([+-]\d\d:\d\d|Z)$/.exec(text || "");
  return match ? ` (UTC${match[1] === "Z" ? "" : match[1].replace("-", "−")})` : "";
}

/** "0:42", "1:02:03"; what is shorter than a second is not "0:00" */
export function durationText(milliseconds) {
  const seconds = Math.max(1, Math.round(milliseconds / 1000));
  const rest = String(seconds % 60).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${rest}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

/** "3.2 MB" */
export function sizeText(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? formatNumber(Math.round(value)) : value.toFixed(1)} ${units[unit]}`;
}

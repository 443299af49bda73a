// What an app does first, through openapi-fetch and the types generated from the schema.
// Environment: ADDRESS of the site, PICTURE: base64 of a JPEG that the library does not have, MD5 of it.
import createClient from "openapi-fetch";

import type { components, paths } from "./schema.js";

declare const process: { env: Record<string, string>; exitCode: number };

type Operation = components["schemas"]["Operation"];
type Problem = components["schemas"]["ProblemBody"];

const address = process.env["ADDRESS"]!;
const md5 = process.env["MD5"]!;
const picture = Uint8Array.from(atob(process.env["PICTURE"]!), (one) => one.charCodeAt(0));

function check(holds: unknown, what: string): asserts holds {
  if (!holds) throw new Error(`This does not hold: ${what}`);
}

/** Return the body of an answer, or throw its problem. */
function done<T>(answer: { data?: T; error?: Problem; response: Response }): T {
  if (answer.data === undefined) throw new Error(`${answer.response.status} ${JSON.stringify(answer.error)}`);
  return answer.data;
}

async function waitFor<T>(ask: () => Promise<T>, isOver: (found: T) => boolean): Promise<T> {
  for (let tries = 0; tries < 600; tries += 1) {
    const found = await ask();
    if (isOver(found)) return found;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error("This took too long.");
}

const open = createClient<paths>({ baseUrl: address });
const signedIn = done(
  await open.POST("/api/v1/auth/devices/", {
    body: { username: "alice", password: "alice-password-1", name: "typescript" },
  }),
);
const client = createClient<paths>({ baseUrl: address, headers: { Authorization: `Token ${signedIn.token}` } });

const wrong = await open.GET("/api/v1/me/");
check(wrong.error?.type === "urn:photolala:problem:not_signed_in", "a problem says its type");

const libraries = done(await client.GET("/api/v1/libraries/")).results;
const library = libraries.find((one) => one.name === "Holidays");
check(library, "the library is listed");
const begun = done(await client.GET("/api/v1/events/poll"));

const photos: components["schemas"]["PhotoBody"][] = [];
let cursor: string | null = "";
while (cursor !== null) {
  const page: components["schemas"]["PhotoPage"] = done(
    await client.GET("/api/v1/photos/", { params: { query: { library: [library.id], limit: 2, cursor } } }),
  );
  photos.push(...page.results);
  cursor = page.next_cursor;
}
check(photos.length === library.photo_count && photos.length > 3, "all photos were paged");
const photo = photos[0]!;

const thumbnail = done(
  await client.GET("/api/v1/photos/{photo_id}/thumbnail/", {
    params: { path: { photo_id: photo.id } },
    parseAs: "blob",
  }),
) as unknown as Blob;
check(thumbnail.type === "image/jpeg" && thumbnail.size > 100, "a thumbnail came");
const metadata = done(
  await client.GET("/api/v1/photos/{photo_id}/metadata/", { params: { path: { photo_id: photo.id } } }),
);
check(metadata.cameraMake === "Canon" && metadata.width === 64, "metadata is an object");

const starred = done(
  await client.POST("/api/v1/photos/{photo_id}/favourite/", {
    params: { path: { photo_id: photo.id } },
    body: { rating: 3 },
  }),
);
check(starred.is_favourite && starred.rating === 3, "three stars");

const coded = (text: string): string => btoa(text);
const metadataHeader = Object.entries({ filename: "ts/IMG.JPG", library: library.id, md5 })
  .map(([name, text]) => `${name} ${coded(text)}`)
  .join(",");
const upload = done(
  await client.POST("/api/v1/uploads/", {
    params: {
      header: { "Tus-Resumable": "1.0.0", "Upload-Length": picture.length, "Upload-Metadata": metadataHeader },
    },
  }),
);
const half = Math.floor(picture.length / 2);
for (const [start, end] of [[0, half], [half, picture.length]] as const) {
  const { response } = await client.PATCH("/api/v1/uploads/{upload_id}/", {
    params: { path: { upload_id: upload.id }, header: { "Tus-Resumable": "1.0.0", "Upload-Offset": start } },
    body: picture.slice(start, end) as unknown as string,
    bodySerializer: (body) => body,
    headers: { "Content-Type": "application/offset+octet-stream" },
  });
  check(response.status === 204 && response.headers.get("Upload-Offset") === String(end), "the piece arrived");
}
const items = await waitFor(
  async () =>
    done(await client.GET("/api/v1/imports/{import_id}/items/", { params: { path: { import_id: upload.import } } }))
      .results,
  (found) => found.length > 0 && !["waiting", "placing"].includes(found[0]!.state),
);
check(items[0]!.state === "imported" && items[0]!.photo, "the upload became a photo");

const asked = await client.POST("/api/v1/libraries/{library_id}/scan/", {
  params: { path: { library_id: library.id } },
  body: { verify_heads: true },
});
const operationId = asked.data?.id ?? asked.error?.operation;
check(operationId, "the scan, or the one that is under way, has an id");
const scanned: Operation = await waitFor(
  async () =>
    done(await client.GET("/api/v1/operations/{operation_id}/", { params: { path: { operation_id: operationId } } })),
  (operation) => operation.state !== "pending" && operation.state !== "running",
);
check(scanned.kind === "scan", "the kind tells the union's members apart");
const found: number | undefined = scanned.result.found;
check(found === photos.length + 1, "the scan found the new photo");

const exported = done(
  await client.POST("/api/v1/exports/", { body: { format: "json", library: library.id, include_media: false } }),
);
const finished = await waitFor(
  async () => done(await client.GET("/api/v1/exports/{export_id}/", { params: { path: { export_id: exported.id } } })),
  (one) => one.status !== "queued" && one.status !== "running",
);
check(finished.status === "completed" && finished.photo_count > photos.length, "the export is complete");

const changes = done(await client.GET("/api/v1/events/poll", { params: { query: { after: begun.cursor } } }));
check(changes.favourites_changed && changes.libraries.length === 1, "the changes are told");
console.log("done");

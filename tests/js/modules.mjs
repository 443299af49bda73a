/** Lets Node find the site's modules by the names that the pages' import map gives them. */
import { register } from "node:module";

const folder = new URL("../../static/catalog/js/", import.meta.url).href;
const hook = `export async function resolve(name, context, next) {
  if (!name.startsWith("photolala/")) return next(name, context);
  return { url: ${JSON.stringify(folder)} + name.slice(10) + ".js", format: "module", shortCircuit: true };
}`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);

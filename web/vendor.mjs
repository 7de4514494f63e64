// Fills web/vendor/ from node_modules: the page loads its libraries from its own origin.
// Called by `npm run build` (a Static Web Apps deployment) and by `python -m local` alike.
import { copyFile, mkdir, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, "..", "node_modules");
const vendor = join(here, "vendor");

// The name the page imports, and where the package keeps its ES module.
const files = {
  "marked.js": join(modules, "marked", "lib", "marked.esm.js"),
  "dompurify.js": join(modules, "dompurify", "dist", "purify.es.mjs"),
  "msal-browser.js": join(modules, "@azure", "msal-browser", "lib", "msal-browser.min.js"),
  "highlight.js": join(modules, "@highlightjs", "cdn-assets", "es", "highlight.min.js"),
};

await mkdir(vendor, { recursive: true });
for (const [name, source] of Object.entries(files)) {
  // Under another name first: an interrupted copy must not pass for a library.
  const partial = join(vendor, `${name}.${process.pid}.partial`);
  await copyFile(source, partial);
  await rename(partial, join(vendor, name));
}

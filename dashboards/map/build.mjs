// Bundles src/main.ts into ../assets/map: one script and one style sheet, which Dash loads by themselves, with
// MapLibre's worker and the fonts beside them. Nothing in the result names another host.
import { copyFile, mkdir, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = here("../assets/map/");

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
await build({
  entryPoints: { "mizugiwa-map": here("src/main.ts") },
  outdir: out,
  bundle: true,
  minify: true,
  format: "iife",
  platform: "browser",
  target: "es2022",
  legalComments: "linked",
  loader: { ".woff2": "file", ".woff": "empty" },
  assetNames: "fonts/[name]",
  // MapLibre asks for its own address only to find its worker, whose address main.ts sets.
  define: { "import.meta.url": "location.href", "process.env.NODE_ENV": '"production"' },
  logLevel: "warning",
});
await copyFile(here("node_modules/maplibre-gl/dist/maplibre-gl-worker.mjs"), `${out}maplibre-gl-worker.mjs`);

// Bundles src/main.ts into ../assets/map: one script and one style sheet, which Dash loads by themselves, with
// MapLibre's worker, the symbols of MIL-STD-2525 and the fonts beside them. Nothing in the result names another host. The same
// typeface goes as whole files into ../../command/documents/fonts, where printed documents take it from.
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = here("../assets/map/");

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const common = {
  outdir: out,
  bundle: true,
  minify: true,
  platform: "browser",
  target: "es2022",
  legalComments: "none",
  metafile: true,
  absWorkingDir: here("."),
  loader: { ".woff2": "file", ".woff": "empty" },
  assetNames: "fonts/[name]-[hash]",
  // MapLibre asks for its own address only to find its worker, whose address main.ts sets.
  define: { "import.meta.url": "location.href", "process.env.NODE_ENV": '"production"' },
  logLevel: "warning",
};
const page = await build({ ...common, entryPoints: { "mizugiwa-map": here("src/main.ts") }, format: "iife" });
// Not part of the first load: the map asks for it when it is needed. Dash leaves .mjs files alone.
const symbols = await build({ ...common, entryPoints: { "mizugiwa-symbols": here("src/milsymbols.ts") }, format: "esm", outExtension: { ".js": ".mjs" } });
// The licences of everything that went into the bundle go along with it, as they ask.
const packages = new Set(
  [page, symbols].flatMap(({ metafile }) => Object.keys(metafile.inputs)).flatMap((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []),
);
const texts = [];
for (const name of [...packages].sort()) {
  const folder = here(`node_modules/${name}/`);
  const { version, license } = JSON.parse(await readFile(`${folder}package.json`, "utf8"));
  const file = (await readdir(folder)).find((entry) => /^licen[cs]e(\.|$)/i.test(entry));
  texts.push(`${name} ${version} (${license})\n\n${file === undefined ? "" : await readFile(folder + file, "utf8")}`);
}
await writeFile(`${out}LICENSES.txt`, texts.join(`\n${"=".repeat(80)}\n`));

await copyFile(here("node_modules/maplibre-gl/dist/maplibre-gl-worker.mjs"), `${out}maplibre-gl-worker.mjs`);

const typeface = "node_modules/@expo-google-fonts/noto-sans-jp";
const printed = here("../../command/documents/fonts/");
await rm(printed, { recursive: true, force: true });
await mkdir(printed, { recursive: true });
await copyFile(here(`${typeface}/400Regular/NotoSansJP_400Regular.ttf`), `${printed}NotoSansJP-Regular.ttf`);
await copyFile(here(`${typeface}/700Bold/NotoSansJP_700Bold.ttf`), `${printed}NotoSansJP-Bold.ttf`);
await copyFile(here(`${typeface}/LICENSE_FONT`), `${printed}OFL.txt`);

// esbuild takes the style sheets into the bundle; to TypeScript they are imports without a value.
declare module "*.css";

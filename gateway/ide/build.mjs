// Bundles the page's script, its styles and Monaco's workers into assets/, which the gateway serves.
import { renameSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = fileURLToPath(new URL('.', import.meta.url));
const unfinished = `${here}assets.unfinished`;
const shared = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  outdir: unfinished,
  logLevel: 'error',
  legalComments: 'linked',
  define: { 'process.env.NODE_ENV': '"production"' },
  loader: { '.ttf': 'file', '.woff': 'file', '.woff2': 'file' },
};

rmSync(unfinished, { recursive: true, force: true });
await build({
  ...shared,
  entryPoints: { app: 'app.jsx' },
  format: 'esm',
  splitting: true,
  jsx: 'automatic',
});
await build({
  ...shared,
  entryPoints: {
    'editor.worker': 'monaco-editor/esm/vs/editor/editor.worker.js',
    'json.worker': 'monaco-editor/esm/vs/language/json/json.worker.js',
    'graphql.worker': 'monaco-graphql/esm/graphql.worker.js',
  },
  format: 'iife',
});
rmSync(`${here}assets`, { recursive: true, force: true });
renameSync(unfinished, `${here}assets`);
